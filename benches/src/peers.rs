//! Whom our figures stand beside.

mod bare;
mod jsonrpsee;
mod lines;
mod tarpc;
mod tonic;

pub use self::{
    bare::Bare,
    jsonrpsee::JsonRpsee,
    lines::Lines,
    tarpc::{Codec, Tarpc},
    tonic::Tonic,
};
