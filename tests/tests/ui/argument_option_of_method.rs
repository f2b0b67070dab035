use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, #[remote(timeout = "1s")] words: &str) -> Result<(), Failure>;
}

fn main() {}
