use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    #[cfg_attr(all(), remote(idempotent))]
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
