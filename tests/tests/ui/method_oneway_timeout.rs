use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    #[remote(oneway, timeout = "1s")]
    async fn bark(&self);
}

fn main() {}
