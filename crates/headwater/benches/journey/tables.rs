//! Figures as tables: what each server's turns came to, and how servers compare.

use std::time::Duration;

/// A column: its heading, and how many decimals its figures have.
pub struct Column(pub &'static str, pub usize);

/// The figures of one load, by server.
pub struct Comparison {
    load: String,
    sides: Vec<(String, Vec<Vec<f64>>)>,
}

/// Prints a heading. The first two columns are the load and the server.
pub fn heading(load: &str, columns: &[Column]) {
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    println!("\n| {load} | server | {} |\n|-|-|{}", names.join(" | "), "-|".repeat(columns.len()));
}

impl Comparison {
    pub fn new(load: impl ToString) -> Self {
        Comparison { load: load.to_string(), sides: Vec::new() }
    }

    /// Notes one turn of a server: a figure for each column; NaN where it has none.
    pub fn note(&mut self, side: &str, figures: Vec<f64>) {
        match self.sides.iter_mut().find(|(name, _)| name == side) {
            Some((_, turns)) => turns.push(figures),
            None => self.sides.push((side.to_owned(), vec![figures])),
        }
    }

    /// Prints the median of each server's turns with least and most, then the first server's medians by each other's.
    pub fn print(&self, columns: &[Column]) {
        for (name, turns) in &self.sides {
            let cells: Vec<String> =
                columns.iter().enumerate().map(|(index, column)| cell(turns, index, column.1)).collect();
            println!("| {} | {name} | {} |", self.load, cells.join(" | "));
        }
        let Some(((first, ours), others)) = self.sides.split_first() else { return };
        for (name, theirs) in others {
            let ratios: Vec<String> =
                (0..columns.len()).map(|index| number(median(ours, index) / median(theirs, index), 2)).collect();
            println!("| {} | {first} ÷ {name} | {} |", self.load, ratios.join(" | "));
        }
    }
}

fn cell(turns: &[Vec<f64>], index: usize, decimals: usize) -> String {
    let mut values: Vec<f64> = turns.iter().map(|figures| figures[index]).collect();
    let middle = number(percentile(&mut values, 0.5), decimals);
    match (values.first(), values.last()) {
        (Some(least), Some(most)) if least < most => {
            format!("{middle} ({}–{})", number(*least, decimals), number(*most, decimals))
        }
        _ => middle,
    }
}

fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".to_owned() }
}

fn median(turns: &[Vec<f64>], index: usize) -> f64 {
    percentile(&mut turns.iter().map(|figures| figures[index]).collect::<Vec<_>>(), 0.5)
}

/// A quantile of values, which are sorted for it; between two values it is their mean at the middle, else the lower one.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return f64::NAN;
    }
    let place = (values.len() as f64 - 1.0) * share;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    if share == 0.5 { (low + high) / 2.0 } else { low }
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
