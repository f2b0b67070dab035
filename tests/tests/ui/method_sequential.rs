use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    #[remote(sequential)]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
