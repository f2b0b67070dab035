//! What an endpoint says about what it serves.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    contract::Description,
    endpoint::{Endpoint, dispatch::Core},
    message::Exception,
    text::shown,
};

/// What an endpoint serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointDescription {
    /// The endpoint's address.
    pub address: String,
    /// The contracts, by class and version; `Admin` is one of them.
    pub contracts: Vec<Description>,
}

/// As a person reads it.
impl fmt::Display for EndpointDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} serves:", self.address)?;
        self.contracts.iter().try_for_each(|contract| write!(f, "\n{contract}"))
    }
}

impl Endpoint {
    /// What the endpoint serves: names, parameters, types, documentation, promises. Its `Admin.describe` tells callers as much of it
    /// as their binding lets them reach ([`Trust::only`](crate::Trust::only)).
    ///
    /// It is put together anew each time.
    #[must_use]
    pub fn describe(&self) -> EndpointDescription {
        self.0.core.describe()
    }
}

impl Core {
    fn describe(&self) -> EndpointDescription {
        let contracts = self.classes.contracts().into_iter().map(|contract| contract.describe()).collect();
        EndpointDescription { address: self.name.to_string(), contracts }
    }

    /// What is served of one class, or all of it, to the callers of a binding: what it does not let them reach they are not shown.
    pub(crate) fn describe_to(&self, binding: usize, class: Option<&str>) -> Result<EndpointDescription, Box<Exception>> {
        let mut all = self.describe();
        if let Some(binding) = self.bindings.get(binding) {
            all.contracts.retain_mut(|Description { class, methods, .. }| {
                let events_alone = methods.is_empty() && binding.lets_in(class, "*");
                methods.retain(|method| binding.lets_in(class, &method.name));
                events_alone || !methods.is_empty()
            });
        }
        let Some(class) = class else { return Ok(all) };
        let served: Vec<_> = all.contracts.iter().map(|contract| contract.class.clone()).collect();
        all.contracts.retain(|contract| contract.class == class);
        if all.contracts.is_empty() {
            let text = format!("class ({}), not-found; served are {}", shown(class), served.join(", "));
            return Err(Box::new(Exception::new("builtins", "Exception", text)));
        }
        Ok(all)
    }
}
