#[remote(server = false, crate = "acme::bus::rmi")]
trait Clock {
    async fn now(&self) -> Result<u64, ClockError>;
}
