//! Preparing writes what was cached; running writes what it is told, answers, and hands over.

use std::{fs, io::Cursor};

use agent::{
    config_drive::{LABEL, MOST, Volume},
    contract::{ConfigDrive, DiskError, ImageError, Launch, RunError},
};
use hadris_fat::{FatVolume, FatVolumeReadExt};
use rmi_core::CallError;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{MIB, Machine, World, sha256};

fn settings() -> ConfigDrive {
    ConfigDrive {
        meta_data: json!({"uuid": "c0ffee00-0000-4000-8000-000000000001", "hostname": "höst"}).as_object().unwrap().clone(),
        user_data: Some("#cloud-config\n".to_owned()),
        network_data: Some(json!({"links": []})),
        vendor_data: None,
    }
}

/// A file of a config drive.
fn said(drive: &[u8], name: &str) -> Option<String> {
    let volume = FatVolume::open(Cursor::new(drive)).unwrap();
    let entry = volume.open_path(&format!("openstack/latest/{name}")).ok()?;
    let mut file = volume.read_file(&entry).unwrap();
    let mut text = vec![0; entry.len() as usize];
    let mut at = 0;
    while at < text.len() {
        at += file.read(&mut text[at..]).unwrap();
    }
    Some(String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn an_image_is_fetched_written_and_verified_and_the_rest_stays() {
    let machine = Machine::new().disk("sda", 4 * MIB);
    let (id, bytes) = machine.image(2 * MIB as usize + 100);
    let world = machine.start().await;
    let before = world.read("sda");
    let prepared = world.standby().prepare_image(id, None).await.unwrap();
    assert_eq!((prepared.bytes, prepared.disk.as_str(), prepared.sha256), (bytes.len() as u64, "sda", sha256(&bytes)));
    let after = world.read("sda");
    assert_eq!(after[..bytes.len()], bytes);
    assert_eq!(after[bytes.len()..], before[bytes.len()..]);
}

#[tokio::test]
async fn a_disk_is_not_overwritten_with_what_is_damaged() {
    let machine = Machine::new().disk("sda", 4 * MIB);
    let (id, bytes) = machine.image(MIB as usize);
    let world = machine.start().await;
    world.standby().cache_images(vec![id]).await.unwrap();
    let mut damaged = bytes.clone();
    damaged[0] ^= 1;
    fs::write(world.machine.path("cache").join(format!("{id}.img")), damaged).unwrap();
    // It is fetched again, where it can be.
    world.standby().prepare_image(id, None).await.unwrap();
    assert_eq!(world.read("sda")[..bytes.len()], bytes);

    let before = world.read("sda");
    fs::write(world.machine.path("cache").join(format!("{id}.img")), vec![7; bytes.len()]).unwrap();
    fs::remove_file(world.machine.path("images").join(format!("{id}.img"))).unwrap();
    let error = world.standby().prepare_image(id, None).await.unwrap_err();
    assert!(matches!(error, CallError::Remote(ImageError::NotFound { .. })), "{error}");
    assert_eq!(world.read("sda"), before);
}

#[tokio::test]
async fn an_image_that_is_too_large_for_its_disk_is_refused() {
    let machine = Machine::new().disk("sda", MIB);
    let (id, _) = machine.image(MIB as usize + 1);
    let world = machine.start().await;
    let before = world.read("sda");
    let error = world.standby().prepare_image(id, None).await.unwrap_err();
    let too_small = DiskError::TooSmall { disk: "sda".to_owned(), size: MIB, needed: MIB + 1 };
    assert!(matches!(&error, CallError::Remote(ImageError::Disk(found)) if *found == too_small), "{error}");
    assert_eq!(world.read("sda"), before);
}

#[tokio::test]
async fn which_disk_is_meant_is_never_guessed() {
    let machine = Machine::new().disk("sda", 2 * MIB).disk("sdb", 2 * MIB).config_drive(2 * MIB);
    let (id, bytes) = machine.image(1000);
    let world = machine.start().await;
    let error = world.standby().prepare_image(id, None).await.unwrap_err();
    let known = vec!["sda".to_owned(), "sdb".to_owned()];
    assert!(matches!(&error, CallError::Remote(ImageError::Disk(DiskError::Ambiguous { known: found })) if *found == known));
    // Nor is an image written where config drives go.
    let error = world.standby().prepare_image(id, Some("config-drive".to_owned())).await.unwrap_err();
    assert!(matches!(error, CallError::Remote(ImageError::Disk(DiskError::Unknown { .. }))));
    world.standby().prepare_image(id, Some("sdb".to_owned())).await.unwrap();
    assert_eq!(world.read("sdb")[..1000], bytes);
}

#[test]
fn a_config_drive_says_what_it_was_given() {
    let volume = Volume::make(&settings()).unwrap();
    assert_eq!(volume.instance(), "c0ffee00-0000-4000-8000-000000000001");
    assert_eq!(FatVolume::open(Cursor::new(volume.bytes())).unwrap().volume_info().volume_label(), LABEL);
    let meta_data: Value = serde_json::from_str(&said(volume.bytes(), "meta_data.json").unwrap()).unwrap();
    assert_eq!(meta_data, Value::Object(settings().meta_data));
    assert_eq!(said(volume.bytes(), "user_data").as_deref(), Some("#cloud-config\n"));
    assert_eq!(
        said(volume.bytes(), "network_data.json").map(|text| serde_json::from_str::<Value>(&text).unwrap()),
        settings().network_data
    );
    assert_eq!(said(volume.bytes(), "vendor_data.json"), None);

    let drawn = Volume::make(&ConfigDrive::default()).unwrap();
    assert!(Uuid::parse_str(drawn.instance()).is_ok());
    let meta_data: Value = serde_json::from_str(&said(drawn.bytes(), "meta_data.json").unwrap()).unwrap();
    assert_eq!(meta_data, json!({"uuid": drawn.instance()}));
}

#[test]
fn a_config_drive_has_room_for_the_longest_and_no_more() {
    let mut long = ConfigDrive { user_data: Some("x".repeat(MOST as usize - 200)), ..ConfigDrive::default() };
    let volume = Volume::make(&long).unwrap();
    assert_eq!(said(volume.bytes(), "user_data"), long.user_data);
    long.user_data = Some("x".repeat(MOST as usize));
    assert!(matches!(Volume::make(&long), Err(RunError::TooLong { .. })));
}

async fn prepared(run: Option<&str>) -> (World, Uuid) {
    let mut machine = Machine::new().disk("sda", 2 * MIB).config_drive(2 * MIB);
    machine.run = run.map(Into::into);
    let (id, _) = machine.image(1000);
    let world = machine.start().await;
    world.standby().prepare_image(id, None).await.unwrap();
    (world, id)
}

#[tokio::test]
async fn an_image_runs_with_its_config_drive() {
    let (world, id) = prepared(Some("/bin/true")).await;
    let before = world.read("config-drive");
    let running = world.standby().run_image(id, settings(), None).await.unwrap();
    let drive = world.read("config-drive");
    assert_eq!(said(&drive, "user_data").as_deref(), Some("#cloud-config\n"));
    assert_eq!(drive[running.config_drive as usize..], before[running.config_drive as usize..]);
    let path = |name| fs::canonicalize(world.machine.path(name)).unwrap().display().to_string();
    let command = vec!["/bin/true".to_owned(), id.to_string(), path("sda"), path("config-drive")];
    assert_eq!(running.launch, Launch::Exec { command });
    // The agent is told, and takes no second image.
    world.me.parts().launcher.wait().await;
    let error = world.standby().run_image(id, settings(), None).await.unwrap_err();
    assert!(matches!(error, CallError::Remote(RunError::Leaving)), "{error}");
    // Nor does anybody touch its disks on the way there.
    for disk in ["sda", "config-drive"] {
        let before = world.read(disk);
        let zeros = vec![agent::contract::Pattern::Zeros];
        let error = world.decommission().disk_erase(Some(vec![disk.to_owned()]), zeros, false).await.unwrap_err();
        assert!(matches!(&error, CallError::Remote(DiskError::Busy { by, .. }) if by.contains("run_image")), "{error}");
        assert_eq!(world.read(disk), before);
    }
}

#[test]
fn a_program_that_is_none_is_told_at_the_start() {
    let machine = Machine::new();
    let new = |path: &str| agent::launch::Launcher::new(Some(machine.path(path)));
    fs::write(machine.path("text"), "").unwrap();
    for (path, why) in [("nothing", "No such file"), ("text", "it is no program"), ("images", "it is no program")] {
        let refused = new(path).unwrap_err().to_string();
        assert!(refused.contains(why) && refused.contains(path), "{refused}");
    }
    assert!(agent::launch::Launcher::new(Some("true".into())).is_err(), "a program is a path, and not looked for");
}

#[tokio::test]
async fn without_a_command_nothing_runs() {
    let (world, id) = prepared(None).await;
    for _ in 0..2 {
        assert_eq!(world.standby().run_image(id, settings(), None).await.unwrap().launch, Launch::Dry);
    }
    assert!(!world.me.parts().launcher.is_set());
}

#[tokio::test]
async fn only_what_is_prepared_runs() {
    let (world, id) = prepared(None).await;
    let not_prepared = |error: CallError<RunError>| matches!(error, CallError::Remote(RunError::NotPrepared { .. }));
    assert!(not_prepared(world.standby().run_image(Uuid::new_v4(), settings(), None).await.unwrap_err()));
    assert!(not_prepared(world.standby().run_image(id, settings(), Some("sdb".to_owned())).await.unwrap_err()));
    let zeros = vec![agent::contract::Pattern::Zeros];
    world.decommission().disk_erase(Some(vec!["sda".to_owned()]), zeros, false).await.unwrap();
    assert!(not_prepared(world.standby().run_image(id, settings(), None).await.unwrap_err()));
}
