use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum DogEvent {
    #[remote(key = "dog.{name}.barked")]
    Barked { name: String },
    #[remote(key = "dog.rex.{what}")]
    Rex { what: String },
    #[remote(key = "dog.rex.barked")]
    RexBarked,
    #[remote(key = "dog.rex.barked.twice")]
    Twice,
}

fn main() {}
