use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(version = "1.2")]
pub trait Dog {
    #[remote(since = "1")]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
