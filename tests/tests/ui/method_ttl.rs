use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    #[remote(ttl = "1.5h")]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
