use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(version = "1.2", since = "1.1")]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
