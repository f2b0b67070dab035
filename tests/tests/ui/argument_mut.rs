use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, mut times: u8) -> Result<u8, Failure> {
        times += 1;
        Ok(times)
    }
}

fn main() {}
