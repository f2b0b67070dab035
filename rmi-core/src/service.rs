//! The server's side of a contract: an invocation goes in, an outcome comes out.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    context::{Context, ContextArgument, Job},
    contract::{Contract, ErrorType, Method, Returned, Type},
    error::RemoteError,
    json::Json,
    message::{Arguments, ArgumentsReader, Constructor, Exception, Outcome, Rejection, RejectionCode},
};

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Serves a contract. Implemented by the servers that `#[remote]` writes; object-safe, so that an endpoint serves many.
pub trait Service: Send + Sync + 'static {
    /// The contract.
    fn contract(&self) -> &'static Contract;

    /// Runs one invocation to its end.
    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome>;
}

/// A server that `#[remote]` writes: what is known of it before there is one.
pub trait Server: Service + Sized {
    /// What implements the contract.
    type Instance;

    /// The contract.
    const CONTRACT: &'static Contract;

    /// Serves these instances.
    fn of(instances: Instances<Self::Instance>) -> Self;
}

/// One invocation of a method.
#[derive(Debug)]
pub struct Invocation {
    pub(crate) contract: &'static Contract,
    pub(crate) index: usize,
    pub(crate) cntr: Option<Constructor>,
    pub(crate) args: Arguments,
    pub(crate) max_args: usize,
    pub(crate) job: Arc<Job>,
}

impl Invocation {
    /// The contract.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// Which of the contract's methods is invoked.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'static Method {
        &self.contract.methods[self.index]
    }

    /// The constructor arguments, if the caller gave any.
    #[must_use]
    pub fn constructor(&self) -> Option<&Constructor> {
        self.cntr.as_ref()
    }

    /// What the handler will know about the request.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::of(self)
    }

    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// They are not arguments, or too many.
    pub fn arguments(&self) -> Result<ArgumentsReader<'_>, Rejection> {
        self.args.reader(self.max_args)
    }
}

/// Where a server takes the instance from that a method is invoked on.
pub struct Instances<S>(Kind<S>);

enum Kind<S> {
    Shared(Arc<S>),
    Factory(Box<dyn Factory<S>>),
}

type Made<S> = Result<Arc<S>, Outcome>;

trait Factory<S>: Fn(&Constructor, &Invocation) -> Made<S> + Send + Sync {}
impl<S, F: Fn(&Constructor, &Invocation) -> Made<S> + Send + Sync> Factory<S> for F {}

impl<S> Instances<S> {
    /// One instance for all requests. Constructor arguments that a caller gives are rejected: they would have no effect.
    pub fn shared(instance: S) -> Self {
        Instances(Kind::Shared(Arc::new(instance)))
    }

    /// An instance for each request, made from its constructor arguments. An error of the factory is the request's outcome.
    pub fn per_call<A, E>(factory: impl Fn(A) -> Result<S, E> + Send + Sync + 'static) -> Self
    where
        A: DeserializeOwned,
        E: RemoteError,
    {
        Instances(Kind::Factory(Box::new(move |cntr: &Constructor, call: &Invocation| {
            let contract = call.contract;
            let arguments = cntr
                .decode_within(call.max_args)
                .map_err(|e| Rejection::new(RejectionCode::Arguments, format!("constructor of `{}`: {e}", contract.name)))?;
            factory(arguments).map(Arc::new).map_err(|e| e.to_exception(contract.name).into())
        })))
    }

    /// The instance for an invocation.
    ///
    /// # Errors
    ///
    /// The outcome of a request for which there is none.
    pub fn get(&self, call: &Invocation) -> Result<Arc<S>, Outcome> {
        match &self.0 {
            Kind::Shared(instance) => match &call.cntr {
                Some(cntr) if *cntr != Constructor::EMPTY => {
                    let details = format!("`{}` is one shared instance and takes no constructor arguments", call.contract.name);
                    Err(Rejection::new(RejectionCode::Arguments, details).into())
                }
                _ => Ok(Arc::clone(instance)),
            },
            Kind::Factory(make) => make(call.cntr.as_ref().unwrap_or(&Constructor::EMPTY), call),
        }
    }
}

impl<S> fmt::Debug for Instances<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shared(_) => "Instances::Shared",
            Kind::Factory(_) => "Instances::PerCall",
        })
    }
}

/// What a method may return: `Result<T, E>` with an error that travels, or nothing when it is one-way.
#[diagnostic::on_unimplemented(
    message = "a remote method cannot return `{Self}`",
    label = "not a `Result<T, E>` with an error that travels",
    note = "return `Result<T, E>`, where `E` derives `RemoteError`, or is `Infallible` if the method cannot fail"
)]
pub trait MethodResult: sealed::Sealed {
    /// The type of the result.
    type Ok;
    /// The type of the error.
    type Err: RemoteError;

    #[doc(hidden)]
    const RETURNED: Returned;

    #[doc(hidden)]
    fn into_outcome(self, contract: &'static Contract) -> Outcome
    where
        Self::Ok: Serialize;
}

impl<T, E: RemoteError> MethodResult for Result<T, E> {
    type Ok = T;
    type Err = E;

    const RETURNED: Returned = Returned { ok: Type::of::<T>(), err: Type::of::<E>(), errors: E::DESCRIPTION };

    fn into_outcome(self, contract: &'static Contract) -> Outcome
    where
        T: Serialize,
    {
        match self {
            Ok(value) => match Json::encode(&value) {
                Ok(json) => Outcome::Result(json),
                Err(e) => Exception::new("builtins", "TypeError", format!("the result is not JSON: {e}")).into(),
            },
            Err(error) => error.to_exception(contract.name).into(),
        }
    }
}

impl MethodResult for () {
    type Ok = ();
    type Err = std::convert::Infallible;

    const RETURNED: Returned =
        Returned { ok: Type::of::<()>(), err: Type::of::<std::convert::Infallible>(), errors: ErrorType::NONE };

    fn into_outcome(self, _: &'static Contract) -> Outcome {
        Outcome::Result(Json::NULL)
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T, E> Sealed for Result<T, E> {}
    impl Sealed for () {}
}
