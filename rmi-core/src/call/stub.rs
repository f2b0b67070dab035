use std::{sync::Arc, time::Duration};

use crate::{
    address::Address,
    call::{Call, OneWay, Plan},
    contract::{Contract, Method},
    endpoint::{binding::Binding, dispatch::Core, pending::Times},
    json::{Json, JsonError},
    message::{Arguments, ArgumentsWriter, Constructor, Exception},
    text::Text,
};

/// What a client is made of: where its contract is served, and how it is reached.
#[derive(Clone, Debug)]
pub struct Stub(pub(crate) Arc<Target>);

/// What the clones of a stub share.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) core: Arc<Core>,
    binding: usize,
    pub(crate) address: Address,
    /// Where requests are sent, if it is not the address.
    pub(crate) lane: Option<Address>,
    pub(crate) class: Text,
    pub(crate) version: Option<Text>,
    pub(crate) cntr: Option<Constructor>,
    /// The group of its calls, where they belong to one.
    pub(crate) group: Option<Text>,
}

impl Stub {
    pub(crate) fn of_contract(core: &Arc<Core>, binding: usize, address: Address, contract: &'static Contract) -> Self {
        let stub = Self::of_class(core, binding, address, Text::from_static(contract.name));
        stub.version(Text::from(contract.version.to_string()))
    }

    pub(crate) fn of_class(core: &Arc<Core>, binding: usize, address: Address, class: Text) -> Self {
        let binding = binding.min(core.bindings.len() - 1);
        let target =
            Target { core: Arc::clone(core), binding, address, lane: None, class, version: None, cntr: None, group: None };
        Stub(Arc::new(target))
    }

    /// Sends its requests to another address than the agent's own.
    pub(crate) fn by_lane(mut self, lane: Address) -> Self {
        Arc::make_mut(&mut self.0).lane = Some(lane);
        self
    }

    pub(crate) fn version(mut self, version: Text) -> Self {
        Arc::make_mut(&mut self.0).version = Some(version);
        self
    }

    pub(crate) fn constructor(mut self, cntr: Constructor) -> Self {
        Arc::make_mut(&mut self.0).cntr = Some(cntr);
        self
    }

    /// The same contract at another address, for the calls of a group.
    pub(crate) fn at(&self, address: Address, group: Text) -> Self {
        let mut stub = self.clone();
        let target = Arc::make_mut(&mut stub.0);
        (target.address, target.group) = (address, Some(group));
        stub
    }

    pub(crate) fn binding(&self) -> &Arc<Binding> {
        &self.0.core.bindings[self.0.binding]
    }

    /// The address that the contract is served at.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// A call of a method with its arguments.
    pub fn call<T, E, P>(&self, method: &'static Method, args: ArgumentsWriter) -> Call<T, E, P> {
        Call::new(self.plan(Text::from_static(method.name), Some(method), args.finish()))
    }

    /// A call of a one-way method.
    pub fn one_way(&self, method: &'static Method, args: ArgumentsWriter) -> OneWay {
        OneWay::new(self.plan(Text::from_static(method.name), Some(method), args.finish()))
    }

    pub(crate) fn dynamic<T>(&self, method: Text, args: Result<Arguments, JsonError>) -> Call<T, Exception, Json> {
        Call::new(self.plan(method, None, args))
    }

    fn plan(&self, method: Text, contract: Option<&'static Method>, args: Result<Arguments, JsonError>) -> Plan {
        let usual = || self.binding().features.timeout.unwrap_or(self.0.core.default_timeout);
        let total = contract.and_then(|m| m.timeout).unwrap_or_else(usual);
        Plan {
            id: self.binding().clock.id(),
            stub: self.clone(),
            method,
            contract,
            args,
            times: Times { total, accept: None, start: None, idle: None },
            ttl: None::<Duration>,
            data: Ok(None),
            statuses: None,
        }
    }
}
