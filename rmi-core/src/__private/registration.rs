//! What `#[remote]` on an implementation registers.

use std::{convert::Infallible, error::Error, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    error::RemoteError,
    service::{Instances, Server, Service},
};

#[cfg(feature = "discovery")]
pub use crate::registry::Registration;
#[cfg(feature = "discovery")]
pub use inventory;

/// A server, or why there is none.
pub type Made = Result<Arc<dyn Service>, Box<dyn Error + Send + Sync>>;

/// A server of one instance, which is the default one.
pub fn default_instance<S: Server<Instance = T>, T: DefaultInstance>() -> Made {
    Ok(Arc::new(S::of(Instances::shared(T::make()))))
}

/// A server of one instance, which a function makes.
pub fn new_instance<S: Server, R: IntoInstance<S::Instance>>(new: impl FnOnce() -> R) -> Made {
    Ok(Arc::new(S::of(Instances::shared(new().into_instance()?))))
}

/// A server of an instance for each request, made from its constructor arguments.
pub fn per_call<S: Server, A, R>(new: impl Fn(A) -> R + Send + Sync + 'static) -> Made
where
    A: DeserializeOwned,
    R: IntoInstancePerCall<S::Instance>,
{
    Ok(Arc::new(S::of(Instances::per_call(move |arguments: A| new(arguments).into_instance()))))
}

/// What can be made of nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default, so discovery cannot make one",
    label = "no `Default`",
    note = "write `#[remote(new = path)]`, where `path` is a function that makes one, or derive `Default`"
)]
pub trait DefaultInstance {
    fn make() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultInstance for T {
    fn make() -> Self {
        T::default()
    }
}

/// What a function returns that makes an instance.
#[diagnostic::on_unimplemented(
    message = "`new` returns `{Self}`, and not the implementation `{T}`",
    label = "does not make `{T}`",
    note = "`new` is the path of a `fn() -> {T}`, or of a `fn() -> Result<{T}, E>` whose error is a `std::error::Error` or a text"
)]
pub trait IntoInstance<T> {
    fn into_instance(self) -> Result<T, Box<dyn Error + Send + Sync>>;
}

#[diagnostic::do_not_recommend]
impl<T> IntoInstance<T> for T {
    fn into_instance(self) -> Result<T, Box<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: Into<Box<dyn Error + Send + Sync>>> IntoInstance<T> for Result<T, E> {
    fn into_instance(self) -> Result<T, Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// What a function returns that makes an instance for a request.
#[diagnostic::on_unimplemented(
    message = "`new` returns `{Self}`, and not the implementation `{T}`",
    label = "does not make `{T}`",
    note = "with `per_call`, `new` is the path of a `fn(A) -> {T}`, or of a `fn(A) -> Result<{T}, E>` whose error travels, where `A` \
            is a struct of the constructor arguments"
)]
pub trait IntoInstancePerCall<T> {
    type Err: RemoteError;

    fn into_instance(self) -> Result<T, Self::Err>;
}

#[diagnostic::do_not_recommend]
impl<T> IntoInstancePerCall<T> for T {
    type Err = Infallible;

    fn into_instance(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: RemoteError> IntoInstancePerCall<T> for Result<T, E> {
    type Err = E;

    fn into_instance(self) -> Result<T, E> {
        self
    }
}

/// Registers an implementation.
#[cfg(feature = "discovery")]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($registration:expr) => {
        $crate::__private::inventory::submit! { $registration }
    };
}

/// Says what is missing.
#[cfg(not(feature = "discovery"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($registration:expr) => {
        ::core::compile_error! {
            "`#[remote]` on an implementation is for discovery, which this rmi-core was built without: switch on its feature `discovery`, \
             or remove the attribute and serve the implementation with `Builder::serve`"
        }
    };
}

pub use crate::__register as register;
