use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    #[remote(version = "1.0")]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
