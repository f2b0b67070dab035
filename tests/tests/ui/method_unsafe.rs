use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async unsafe fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
