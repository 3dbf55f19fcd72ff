//! What needs what: order of making, cycles.

use std::collections::{BTreeMap, BTreeSet};

/// Dependencies among names: each with those that must be there before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Without names.
    pub fn new() -> Self {
        Graph::default()
    }

    /// Adds a name and what it needs; names that are needed but never added do not count.
    pub fn add(&mut self, name: impl Into<String>, needs: impl IntoIterator<Item = String>) {
        self.needs.entry(name.into()).or_default().extend(needs);
    }

    /// What a name needs directly, among the added names.
    pub fn needs(&self, name: &str) -> impl Iterator<Item = &str> {
        self.needs.get(name).into_iter().flatten().map(String::as_str).filter(|needed| self.needs.contains_key(*needed))
    }

    /// Names that are not done and whose needs are all done, ascending.
    pub fn ready(&self, done: &BTreeSet<String>) -> Vec<&str> {
        let is_ready = |name: &&str| self.needs(name).all(|needed| done.contains(needed));
        self.needs.keys().map(String::as_str).filter(|name| !done.contains(*name)).filter(is_ready).collect()
    }

    /// The same names with every dependency turned round: what must go first comes last.
    #[must_use]
    pub fn reversed(&self) -> Graph {
        let mut reversed = Graph::new();
        for name in self.needs.keys() {
            reversed.add(name.clone(), []);
            for needed in self.needs(name) {
                reversed.add(needed, [name.clone()]);
            }
        }
        reversed
    }

    /// All names in an order in which each comes after what it needs; among equals, ascending. `None` if there is a
    /// cycle.
    pub fn order(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        let mut order = Vec::new();
        while order.len() < self.needs.len() {
            let ready: Vec<String> = self.ready(&done).into_iter().map(str::to_owned).collect();
            if ready.is_empty() {
                return None;
            }
            done.extend(ready.iter().cloned());
            order.extend(ready);
        }
        Some(order)
    }

    /// Names that need one another, as a path whose first name is repeated at the end.
    pub fn cycle(&self) -> Option<Vec<String>> {
        let nodes: Vec<&str> = self.needs.keys().map(String::as_str).collect();
        let edges = nodes.iter().map(|name| (*name, self.needs(name).collect())).collect();
        find_cycle(&nodes, &edges)
    }
}

/// The first cycle that a walk in the given order finds. Without recursion: names are up to 500 deep.
pub(crate) fn find_cycle(nodes: &[&str], edges: &BTreeMap<&str, Vec<&str>>) -> Option<Vec<String>> {
    let none = Vec::new();
    let mut finished = BTreeSet::new();
    for start in nodes {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((node, next)) = path.last().copied() {
            if finished.contains(node) {
                path.pop();
                continue;
            }
            let Some(target) = edges.get(node).unwrap_or(&none).get(next).copied() else {
                finished.insert(node);
                path.pop();
                continue;
            };
            if let Some(last) = path.last_mut() {
                last.1 += 1;
            }
            if let Some(begin) = path.iter().position(|(earlier, _)| *earlier == target) {
                let mut cycle: Vec<String> = path[begin..].iter().map(|(name, _)| (*name).to_owned()).collect();
                cycle.push(target.to_owned());
                return Some(cycle);
            }
            if !finished.contains(target) {
                path.push((target, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(edges: &[(usize, usize)], count: usize) -> Graph {
        let mut graph = Graph::new();
        for name in 0..count {
            graph.add(format!("n{name:02}"), []);
        }
        for (from, to) in edges {
            graph.add(format!("n{from:02}"), [format!("n{to:02}")]);
        }
        graph
    }

    proptest! {
        #[test]
        fn every_name_comes_once_and_after_what_it_needs(edges in prop::collection::vec((0usize..20, 0usize..20), 0..60)) {
            // Only edges to smaller numbers: no cycles.
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| to < from).collect();
            let graph = graph(&edges, 20);
            prop_assert_eq!(graph.cycle(), None);
            let order = graph.order().expect("no cycle");
            prop_assert_eq!(order.len(), 20);
            let place = |name: &str| order.iter().position(|other| other == name).expect("each name is in the order");
            for (from, to) in &edges {
                let (from, to) = (place(&format!("n{from:02}")), place(&format!("n{to:02}")));
                prop_assert!(from > to);
            }
            let back = graph.reversed().order().expect("no cycle");
            let place = |name: &str| back.iter().position(|other| other == name).expect("each name is in the order");
            for (from, to) in &edges {
                let (from, to) = (place(&format!("n{from:02}")), place(&format!("n{to:02}")));
                prop_assert!(from < to);
            }
        }

        #[test]
        fn a_cycle_is_found_just_when_there_is_no_order(edges in prop::collection::vec((0usize..8, 0usize..8), 0..20)) {
            let graph = graph(&edges, 8);
            match graph.cycle() {
                None => prop_assert!(graph.order().is_some()),
                Some(path) => {
                    prop_assert!(graph.order().is_none());
                    prop_assert_eq!(path.first(), path.last());
                    for step in path.windows(2) {
                        let follows = graph.needs(&step[0]).any(|needed| needed == step[1]);
                        prop_assert!(follows);
                    }
                }
            }
        }
    }
}
