use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&mut self) -> Result<(), Failure>;
}

fn main() {}
