use rmi_core::remote;

#[remote]
pub trait Dog {}

fn main() {}
