use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(sequential = true)]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
