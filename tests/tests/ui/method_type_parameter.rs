use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark<T: ToString>(&self, words: T) -> Result<(), Failure>;
}

fn main() {}
