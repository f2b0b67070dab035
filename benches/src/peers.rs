//! Whom our figures stand beside.

mod bare;
mod tarpc;

pub use self::{bare::Bare, tarpc::Tarpc};
