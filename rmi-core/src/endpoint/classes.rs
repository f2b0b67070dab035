//! The contracts that an endpoint serves: by class, major version, method.

use std::sync::Arc;

use crate::{
    contract::{Contract, Version},
    endpoint::{BuildError, queue::Handlers, sequence::Sequence},
    message::{Rejection, RejectionCode, Request},
    service::Service,
    table::Table,
    text::{Text, shown},
};

/// A contract that is served.
pub(crate) struct Served {
    pub(crate) service: Arc<dyn Service>,
    methods: Table<&'static str, usize>,
    /// A small lane of its own: it is reached even when every other handler is busy.
    pub(crate) lane: Option<Handlers>,
    /// Its requests run one after the other.
    pub(crate) sequence: Option<Sequence>,
}

impl Served {
    fn new(service: Arc<dyn Service>, lane: Option<Handlers>, sequential: bool) -> Self {
        let mut methods = Table::default();
        for (index, method) in service.contract().methods.iter().enumerate() {
            for name in std::iter::once(&method.name).chain(method.aliases) {
                methods.entry(*name).or_insert(index);
            }
        }
        let sequence = sequential.then(Sequence::new);
        Served { service, methods, lane, sequence }
    }

    pub(crate) fn contract(&self) -> &'static Contract {
        self.service.contract()
    }

    pub(crate) fn version(&self) -> Version {
        self.contract().version
    }
}

/// The majors of one class. There is at least one.
struct Class {
    /// The one for requests that name no version.
    usual: Arc<Served>,
    others: Vec<Arc<Served>>,
}

impl Class {
    fn majors(&self) -> impl Iterator<Item = &Arc<Served>> {
        std::iter::once(&self.usual).chain(&self.others)
    }

    fn major(&self, major: u16) -> Option<&Arc<Served>> {
        self.majors().find(|served| served.version().major == major)
    }

    /// `1.2, 2.0`
    fn versions(&self) -> String {
        let mut versions: Vec<_> = self.majors().map(|served| served.version()).collect();
        versions.sort_unstable();
        versions.iter().map(Version::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The contracts that an endpoint serves.
#[derive(Default)]
pub(crate) struct Classes(Table<&'static str, Class>);

impl Classes {
    /// Adds a contract, no major of a class twice. Among the majors of a class the lowest is for requests that name no version.
    pub(crate) fn add(&mut self, service: Arc<dyn Service>, lane: Option<Handlers>, sequential: bool) {
        let mut new = Arc::new(Served::new(service, lane, sequential));
        let Some(class) = self.0.get_mut(new.contract().name) else {
            let _ = self.0.insert(new.contract().name, Class { usual: new, others: Vec::new() });
            return;
        };
        if new.version() < class.usual.version() {
            std::mem::swap(&mut class.usual, &mut new);
        }
        class.others.push(new);
    }

    /// Lets requests that name no version go to another major than the lowest.
    pub(crate) fn set_default(&mut self, name: &str, major: u16) -> Result<(), BuildError> {
        let class = self.0.get_mut(name);
        let served = class.as_ref().map(|class| class.versions()).unwrap_or_default();
        let not_served = || BuildError::DefaultMajor { class: name.to_owned(), major, served };
        let class = class.ok_or_else(not_served.clone())?;
        if class.usual.version().major != major {
            let at = class.others.iter().position(|other| other.version().major == major).ok_or_else(not_served)?;
            std::mem::swap(&mut class.usual, &mut class.others[at]);
        }
        Ok(())
    }

    /// Whether a class is served, in any version.
    pub(crate) fn contains(&self, class: &str) -> bool {
        self.0.contains_key(class)
    }

    /// What is served, by class and version.
    pub(crate) fn contracts(&self) -> Vec<&'static Contract> {
        let mut contracts: Vec<_> = self.0.values().flat_map(Class::majors).map(|served| served.contract()).collect();
        contracts.sort_unstable_by_key(|contract| (contract.name, contract.version));
        contracts
    }

    /// The contract and the method that a request is for, at an endpoint of this name.
    pub(crate) fn find(&self, request: &Request, endpoint: &str) -> Result<(&Arc<Served>, usize), Rejection> {
        let class = self.0.get(&*request.class).ok_or_else(|| {
            let details = format!("\"{}\" is not served by `{endpoint}`", shown(&request.class));
            Rejection::new(RejectionCode::UnknownClass, details)
        })?;
        let (served, asked) = match &request.version {
            None => (&class.usual, None),
            Some(text) => {
                let asked = Version::parse(text).ok_or_else(|| not_a_version(class, request, text))?;
                (class.major(asked.major).ok_or_else(|| not_served(class, request, asked))?, Some(asked))
            }
        };
        match served.methods.get(&*request.method) {
            Some(index) => Ok((served, *index)),
            None => Err(no_method(class, served, request, asked, endpoint)),
        }
    }
}

fn not_a_version(class: &Class, request: &Request, text: &Text) -> Rejection {
    let shown: String = text.chars().take(32).collect();
    let details = format!(
        "{shown:?} is no version: write `major.minor`, such as \"1.0\"; \"{}\" is served in {}",
        request.class,
        class.versions()
    );
    Rejection::new(RejectionCode::UnknownVersion, details)
}

fn not_served(class: &Class, request: &Request, asked: Version) -> Rejection {
    let details = format!("\"{}\" is served in {}, and not in the {asked} that was asked for", request.class, class.versions());
    Rejection::new(RejectionCode::UnknownVersion, details)
}

fn no_method(class: &Class, served: &Served, request: &Request, asked: Option<Version>, endpoint: &str) -> Rejection {
    let mut details = format!("\"{}.{}()\" is not served by `{endpoint}`", request.class, shown(&request.method));
    let version = served.version();
    if let Some(asked) = asked.filter(|asked| asked.minor > version.minor) {
        details += &format!(": {asked} was asked for, and {version} is served");
    }
    let elsewhere = |other: &&Arc<Served>| !std::ptr::eq(&***other, served) && other.methods.contains_key(&*request.method);
    if let Some(other) = class.majors().find(elsewhere) {
        details += &format!("; it is in {}, which the request would have to name", other.version());
    }
    Rejection::new(RejectionCode::UnknownMethod, details)
}
