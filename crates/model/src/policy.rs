//! Policy documents and their evaluation: who may do what to which resource, under which conditions.
//!
//! A document is parsed once, at the door, into [`Policy`]; [`evaluate`] is pure. Whatever is not understood never
//! grants: an unknown condition operator makes an `Allow` not match and a `Deny` match, and the same holds for a
//! policy variable that the request has no value for and for a condition on `aws:ResourceTag/…`, which is not known
//! here.
//!
//! Source: IAM "Policy evaluation logic", "JSON policy elements" (document versions 2008-10-17 and 2012-10-17).
//! Left out: permission boundaries, organisations.

mod condition;
mod parse;
mod pattern;

pub use condition::{Context, ip_within};
pub use parse::PolicyError;
pub use pattern::Pattern;

use crate::iam;
use condition::Condition;
use serde_json::Value;

/// A parsed policy document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a matching statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Grants, unless another statement denies.
    Allow,
    /// Denies, whatever others grant.
    Deny,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    principals: Principals,
    actions: Selector,
    resources: Selector,
    conditions: Vec<Condition>,
}

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq)]
enum Principals {
    /// The one that the policy is attached to.
    Attached,
    Only(Vec<PrincipalPattern>),
    AllBut(Vec<PrincipalPattern>),
}

#[derive(Clone, Debug, PartialEq)]
enum PrincipalPattern {
    Everybody,
    /// An ARN or an account id.
    Aws(String),
    Service(String),
}

/// What a statement applies to.
#[derive(Clone, Debug, PartialEq)]
enum Selector {
    /// Trust policies name no resource.
    Everything,
    Only(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

/// A question to the policies.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a iam::Principal,
    /// The account that the principal belongs to.
    pub account: &'a str,
    /// `SERVICE:Operation`, such as `ivs:PutMetadata`.
    pub action: &'a str,
    /// ARN of what it is done to, or `*` where an operation has no resource.
    pub resource: &'a str,
    /// What conditions look at.
    pub context: &'a Context,
}

/// The answer of the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// No statement speaks of it.
    NotAllowed,
}

impl Decision {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self == Decision::Allowed
    }
}

/// Judges a request by policies. An explicit deny wins over every allow; nothing said means no.
///
/// Policies attached to an identity speak of whoever is asked about, so pass only those of the request's principal.
/// [`iam::Principal::Root`] needs no allow, but an explicit deny holds for it too.
pub fn evaluate<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>) -> Decision {
    let mut decision = match request.principal {
        iam::Principal::Root => Decision::Allowed,
        _ => Decision::NotAllowed,
    };
    let action = request.action.to_ascii_lowercase();
    for statement in policies.into_iter().flat_map(|policy| &policy.statements) {
        if statement.matches(request, &action) {
            match statement.effect {
                Effect::Deny => return Decision::ExplicitlyDenied,
                Effect::Allow => decision = Decision::Allowed,
            }
        }
    }
    decision
}

/// Judges a request of a session: what the identity's policies allow, as far as the session's policies allow it too.
/// Without session policies (`None`) it is [`evaluate`]. A session policy never grants, and its deny is a deny.
///
/// Source: IAM, "Session policies".
pub fn evaluate_session(identity: &[Policy], session: Option<&[Policy]>, request: &Request<'_>) -> Decision {
    let own = evaluate(identity, request);
    let Some(session) = session else { return own };
    // Session policies narrow everybody, also those who need no allow of their own.
    let nobody = iam::Principal::Anonymous;
    match (own, evaluate(session, &Request { principal: &nobody, ..*request })) {
        (Decision::ExplicitlyDenied, _) | (_, Decision::ExplicitlyDenied) => Decision::ExplicitlyDenied,
        (Decision::Allowed, Decision::Allowed) => Decision::Allowed,
        _ => Decision::NotAllowed,
    }
}

impl Policy {
    /// Whether a statement allows the request, whoever asks; nothing is said of statements that deny.
    pub fn allows(&self, request: &Request<'_>) -> bool {
        let action = request.action.to_ascii_lowercase();
        let allows = |statement: &Statement| statement.effect == Effect::Allow && statement.matches(request, &action);
        self.statements.iter().any(allows)
    }

    /// Whether a statement allows the request and names its principal, or everybody, not just the account. Such a
    /// resource policy needs no further leave from the principal's own policies.
    ///
    /// Source: IAM, "Policy evaluation logic for requests within a single account".
    pub fn grants_by_name(&self, request: &Request<'_>) -> bool {
        let action = request.action.to_ascii_lowercase();
        self.statements.iter().any(|statement| {
            let named = match &statement.principals {
                Principals::Only(patterns) => {
                    patterns.iter().any(|pattern| pattern.covers(request) && !pattern.is_account(request))
                }
                Principals::Attached | Principals::AllBut(_) => false,
            };
            statement.effect == Effect::Allow && named && statement.matches(request, &action)
        })
    }

    /// Reads a policy that is attached to an identity: statements name resources and no principal.
    ///
    /// # Errors
    /// [`PolicyError`] with the path of what is wrong.
    pub fn parse(document: &Value) -> Result<Policy, PolicyError> {
        parse::document(document, parse::Kind::Identity)
    }

    /// Reads a policy that is attached to a resource, such as a bucket's: statements name principals and resources.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn parse_resource_policy(document: &Value) -> Result<Policy, PolicyError> {
        parse::document(document, parse::Kind::Resource)
    }

    /// Reads a role's trust policy: statements name principals and no resource.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn parse_trust_policy(document: &Value) -> Result<Policy, PolicyError> {
        parse::document(document, parse::Kind::Trust)
    }

    /// Whether a statement grants something to everybody without a condition.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            let everybody = match &statement.principals {
                Principals::Only(patterns) => patterns.contains(&PrincipalPattern::Everybody),
                Principals::Attached | Principals::AllBut(_) => false,
            };
            statement.effect == Effect::Allow && everybody && statement.conditions.is_empty()
        })
    }

    /// Whether `covers` accepts every resource that is named. A bucket's policy may speak of its own bucket only.
    pub fn resources_all(&self, covers: impl Fn(&Pattern) -> bool) -> bool {
        self.statements.iter().all(|statement| match &statement.resources {
            Selector::Everything => true,
            Selector::Only(patterns) | Selector::AllBut(patterns) => patterns.iter().all(&covers),
        })
    }
}

impl Statement {
    /// `action` is the request's, in lower case.
    fn matches(&self, request: &Request<'_>, action: &str) -> bool {
        // What cannot be judged counts as a match of a deny and as no match of an allow.
        let in_doubt = self.effect == Effect::Deny;
        self.principals.cover(request)
            && self.actions.covers(action, request.context, in_doubt)
            && self.resources.covers(request.resource, request.context, in_doubt)
            && self.conditions.iter().all(|condition| condition.holds(request.context).unwrap_or(in_doubt))
    }
}

impl Principals {
    fn cover(&self, request: &Request<'_>) -> bool {
        match self {
            Principals::Attached => true,
            Principals::Only(patterns) => patterns.iter().any(|pattern| pattern.covers(request)),
            Principals::AllBut(patterns) => !patterns.iter().any(|pattern| pattern.covers(request)),
        }
    }
}

impl PrincipalPattern {
    fn covers(&self, request: &Request<'_>) -> bool {
        let account = request.account;
        match (self, request.principal) {
            (PrincipalPattern::Everybody, _) => true,
            (PrincipalPattern::Service(name), iam::Principal::Service(service)) => name == service,
            (PrincipalPattern::Aws(name), iam::Principal::Root) => names_account(name, account),
            (PrincipalPattern::Aws(name), iam::Principal::User { user }) => {
                names_account(name, account)
                    || name
                        .strip_prefix(&format!("arn:aws:iam::{account}:user/"))
                        .is_some_and(|path| path.rsplit('/').next() == Some(user.as_str()))
            }
            (PrincipalPattern::Aws(name), iam::Principal::Role { role, session }) => {
                names_account(name, account)
                    || *name == format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
                    || name
                        .strip_prefix(&format!("arn:aws:iam::{account}:role/"))
                        .is_some_and(|path| path.rsplit('/').next() == Some(role.as_str()))
            }
            _ => false,
        }
    }
}

impl PrincipalPattern {
    /// Whether it covers its principal as somebody of the account only.
    fn is_account(&self, request: &Request<'_>) -> bool {
        let is_owner = *request.principal == iam::Principal::Root;
        matches!(self, PrincipalPattern::Aws(name) if !is_owner && names_account(name, request.account))
    }
}

/// An account as a principal stands for everybody in it.
fn names_account(name: &str, account: &str) -> bool {
    name == account || name == format!("arn:aws:iam::{account}:root")
}

impl Selector {
    fn covers(&self, text: &str, context: &Context, in_doubt: bool) -> bool {
        let any = |patterns: &[Pattern], unresolved: bool| {
            patterns.iter().any(|pattern| pattern.matches_in(text, context).unwrap_or(unresolved))
        };
        match self {
            Selector::Everything => true,
            Selector::Only(patterns) => any(patterns, in_doubt),
            Selector::AllBut(patterns) => !any(patterns, !in_doubt),
        }
    }
}

#[cfg(test)]
mod tests;
