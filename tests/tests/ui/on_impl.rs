use rmi_core::remote;

type Failure = std::convert::Infallible;

struct Dog;

#[remote]
impl Dog {
    pub async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
