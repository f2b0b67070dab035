use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, (low, high): (u8, u8)) -> Result<u8, Failure> {
        Ok(low + high)
    }
}

fn main() {}
