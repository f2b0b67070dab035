use crate::{
    contract::Method,
    message::{Arguments, Constructor, Statuses},
    text::Text,
};

/// A method is to be invoked on an instance of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The class: a contract's wire name.
    pub class: Text,
    /// The method's wire name.
    pub method: Text,
    /// The contract version that the caller was built with (`major.minor`).
    pub version: Option<Text>,
    /// Constructor arguments for the instance; `None` when the caller gave none.
    pub cntr: Option<Constructor>,
    /// The method's arguments.
    pub args: Arguments,
    /// Which statuses the caller wants; `None` when it did not say, which means all of them.
    pub wants: Option<Statuses>,
    /// The group that the request belongs to: the same call, made to many agents at once.
    pub group: Option<Text>,
    /// The method as its contract describes it, in a request that was made from one. Never read off the wire.
    pub contract: Option<&'static Method>,
}
