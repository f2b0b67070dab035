use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async extern "C" fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
