use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(version = "2.0")]
pub trait Dog {
    #[remote(since = "1.4")]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
