//! Who may call what, as an operator writes it down.

mod error;
mod file;
mod pattern;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

pub use self::error::PolicyError;
use self::pattern::{What, Who};
use crate::{
    endpoint::{AdminAction, AdminPolicy, EndpointDescription},
    seal::Principal,
    table::Table,
};

/// Who may call what, and who may cancel or resume requests that others have sent: a text in [TOML](https://toml.io).
///
/// **What no rule allows is denied, and what a rule denies is denied whatever others allow.** So the order of the rules does not
/// matter, and taking one out is never a surprise beyond it.
///
/// ```
/// use rmi_core::{Principal, layer::Policy};
///
/// let policy = Policy::parse(r#"
///     [groups]
///     operators = ["key:alice", "key:ops-*"]
///
///     [[allow]]
///     name = "operators do everything"
///     who = ["@operators"]
///     call = ["*"]
///
///     [[allow]]
///     name = "everybody with a key may look"
///     who = ["key:*"]
///     call = ["dhcp.lookup*", "Admin.hello"]
///
///     [[deny]]
///     name = "ops-7 has left"
///     who = ["key:ops-7"]
///     call = ["*"]
///
///     [[admin]]
///     who = ["@operators"]
///     may = ["cancel"]
///     whose = ["key:*"]
/// "#)?;
///
/// let key = |name: &'static str| Principal::Key(name.into());
/// assert!(policy.explain(&key("ops-1"), "dhcp", "drop").is_allowed());
/// assert_eq!(
///     policy.explain(&key("ops-7"), "dhcp", "drop").to_string(),
///     "denied by `ops-7 has left` (deny, line 15)",
/// );
/// assert_eq!(policy.explain(&key("bob"), "dhcp", "drop").to_string(), "denied: no rule allows it");
/// # Ok::<(), rmi_core::layer::PolicyError>(())
/// ```
///
/// # The text
///
/// | table | key | what it says |
/// |---|---|---|
/// | `[groups]` | any name | a list of principals, which rules name `@name` |
/// | `[[allow]]`, `[[deny]]` | `who` | a list of principals and groups |
/// | | `call` | a list of methods |
/// | | `bindings` | a list of the endpoint's bindings that the rule is about: their numbers in the order in which they were added, from 0. All if left out |
/// | | `name` | what logs and [`Policy::explain`] call the rule. Its line is named as well |
/// | `[[admin]]` | `who` | a list of principals and groups who may touch what others have sent |
/// | | `may` | a list of `cancel` and `resume`; who may resume a request is told its outcome |
/// | | `whose` | a list of principals and groups whose requests are meant |
///
/// A **principal** is written `key:NAME` for the holder of a key that the keyring has under this name, `transport:NAME` for whom the
/// transport vouches for, and `anonymous` for nobody in particular. The three never compare equal: `key:*` is everybody with a key,
/// and nobody else. In a name `*` stands for any characters.
///
/// A **method** is written `Class.method`, with the names of the contract (its aliases are other ways to call it, not other methods,
/// and all its majors are meant); `*` stands for any characters in either, and alone for everything.
///
/// `Admin.cancel` and `Admin.resume` reach only what their caller has sent itself, beside what `[[admin]]` grants. They need no rule that allows
/// them; one that denies them holds.
///
/// What `[[admin]]` grants holds where the policy is given to [`Builder::admin`](crate::endpoint::Builder::admin) as well.
///
/// Keys that are not in this table are mistakes, and so is an empty list in a rule.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    grants: Vec<Grant>,
    /// The rules that name a principal, by principal.
    named: Table<Principal, Vec<usize>>,
    /// The rules that have a pattern for principals.
    patterned: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Option<String>,
    line: usize,
    effect: Effect,
    who: Vec<Who>,
    call: Vec<What>,
    bindings: Option<Vec<usize>>,
}

impl Rule {
    fn is_about(&self, binding: usize, class: &str, method: &str) -> bool {
        self.bindings.as_ref().is_none_or(|bindings| bindings.contains(&binding))
            && self.call.iter().any(|what| what.matches(class, method))
    }
}

/// What somebody may do to requests of others.
#[derive(Clone, Debug)]
struct Grant {
    who: Vec<Who>,
    cancel: bool,
    resume: bool,
    whose: Vec<Who>,
}

fn any(whom: &[Who], principal: &Principal) -> bool {
    whom.iter().any(|who| who.matches(principal))
}

impl Policy {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// What is wrong with it first: the line, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(text)
    }

    /// Reads a file. Blocks while it does.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or what is wrong with it first: the file, the line, and what to write instead.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| PolicyError::Read { path: path.to_owned(), source })?;
        Policy::parse(&text).map_err(|error| error.in_file(PathBuf::from(path)))
    }

    fn of(rules: Vec<Rule>, grants: Vec<Grant>) -> Self {
        let mut policy = Policy { grants, ..Policy::default() };
        for (index, rule) in rules.iter().enumerate() {
            let mut patterned = false;
            for who in &rule.who {
                match who.only() {
                    Some(principal) => policy.named.entry(principal).or_default().push(index),
                    None => patterned = true,
                }
            }
            if patterned {
                policy.patterned.push(index);
            }
        }
        policy.rules = rules;
        policy
    }

    /// What would be decided about a request that came by the endpoint's first binding, and which rule says so. What decides when a
    /// request comes is the same function.
    #[must_use]
    pub fn explain(&self, principal: &Principal, class: &str, method: &str) -> Explanation<'_> {
        self.explain_on(0, principal, class, method)
    }

    /// [`Policy::explain`], for a request that came by another binding: its number, from 0.
    #[must_use]
    pub fn explain_on(&self, binding: usize, principal: &Principal, class: &str, method: &str) -> Explanation<'_> {
        self.decide(binding, principal, class, method, class == "Admin")
    }

    /// `admin` says whether the class is the `Admin` that every endpoint serves, and not one of the program's own.
    pub(super) fn decide(
        &self,
        binding: usize,
        principal: &Principal,
        class: &str,
        method: &str,
        admin: bool,
    ) -> Explanation<'_> {
        let (mut allow, mut deny) = (None, None);
        let mut look = |index: usize| {
            let rule = &self.rules[index];
            let first = match rule.effect {
                Effect::Allow => &mut allow,
                Effect::Deny => &mut deny,
            };
            if first.is_none_or(|first| index < first) && rule.is_about(binding, class, method) {
                *first = Some(index);
            }
        };
        self.named.get(principal).into_iter().flatten().copied().for_each(&mut look);
        self.patterned.iter().copied().filter(|index| any(&self.rules[*index].who, principal)).for_each(&mut look);
        let reason = match (deny, allow) {
            (Some(index), _) | (None, Some(index)) => Reason::Rule(&self.rules[index]),
            (None, None) if admin && matches!(method, "cancel" | "resume") => Reason::Own,
            (None, None) => Reason::NoRule,
        };
        Explanation(reason)
    }

    /// What the rules say about methods that an endpoint does not serve, for a warning when it starts: a name that is misspelled
    /// denies nothing.
    #[must_use]
    pub fn idle(&self, served: &EndpointDescription) -> Vec<String> {
        let methods = || {
            let contracts = served.contracts.iter();
            contracts.flat_map(|contract| contract.methods.iter().map(|method| (&contract.class, &method.name)))
        };
        let mut idle = Vec::new();
        for rule in &self.rules {
            for what in &rule.call {
                if !methods().any(|(class, method)| what.matches(class, method)) {
                    idle.push(format!("line {}: `{}` is nothing that `{}` serves", rule.line, what.text, served.address));
                }
            }
        }
        idle
    }

    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules.len()
    }
}

impl AdminPolicy for Policy {
    fn permits(&self, asker: &Principal, action: AdminAction, owner: &Principal) -> bool {
        let grants = |grant: &Grant| match action {
            AdminAction::Cancel => grant.cancel,
            AdminAction::Resume => grant.resume,
        };
        self.grants.iter().any(|grant| grants(grant) && any(&grant.who, asker) && any(&grant.whose, owner))
    }
}

/// What a policy says about a request, and why. It displays as a sentence.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a>(Reason<'a>);

#[derive(Clone, Copy, Debug)]
enum Reason<'a> {
    Rule(&'a Rule),
    /// It reaches only what its caller has sent.
    Own,
    NoRule,
}

impl Explanation<'_> {
    /// Whether the request is let in.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self.0 {
            Reason::Rule(rule) => rule.effect == Effect::Allow,
            Reason::Own => true,
            Reason::NoRule => false,
        }
    }

    /// The line of the rule that says so, from 1; `None` when no rule does.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.0 {
            Reason::Rule(rule) => Some(rule.line),
            Reason::Own | Reason::NoRule => None,
        }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::Rule(rule) => {
                let (said, table) = match rule.effect {
                    Effect::Allow => ("allowed", "allow"),
                    Effect::Deny => ("denied", "deny"),
                };
                match &rule.name {
                    Some(name) => write!(f, "{said} by `{name}` ({table}, line {})", rule.line),
                    None => write!(f, "{said} by the rule in line {} ({table})", rule.line),
                }
            }
            Reason::Own => f.write_str("allowed: it reaches only what its caller has sent"),
            Reason::NoRule => f.write_str("denied: no rule allows it"),
        }
    }
}
