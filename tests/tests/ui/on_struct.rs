use rmi_core::remote;

#[remote]
pub struct Dog;

fn main() {}
