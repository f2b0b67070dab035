use rmi_core::remote;

pub trait Dog {
    fn bark(&self);
}

#[derive(Default)]
struct Kennel;

#[remote]
impl Dog for Kennel {
    fn bark(&self) {}
}

fn main() {}
