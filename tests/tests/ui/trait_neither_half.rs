use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(client = false, server = false)]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
