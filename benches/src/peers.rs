//! Whom our figures stand beside.

mod bare;
mod jsonrpsee;
mod lapin;
mod lines;
mod pika;
mod tarpc;
mod tonic;

pub use self::{
    bare::Bare,
    jsonrpsee::JsonRpsee,
    lapin::{Bodies, Guarantees, LapinCalls, LapinFlow},
    lines::Lines,
    pika::Pika,
    tarpc::{Codec, Tarpc},
    tonic::Tonic,
};
