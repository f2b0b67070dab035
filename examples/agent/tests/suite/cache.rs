//! The cache: bounded, checked, shared, and the same after a restart.

use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Barrier},
    thread,
};

use agent::{
    cache::{Cache, Kept, Source},
    contract::{CacheState, ImageError},
    work::Meter,
};
use uuid::Uuid;

use crate::world::{MIB, Machine, Plain, noise, publish, sha256};

fn ensure(cache: &Cache, id: Uuid) -> Result<Kept, ImageError> {
    cache.ensure(id, &HashSet::new(), &mut Meter::new(&Plain::default(), 0))
}

fn hold(cache: &Cache, id: Uuid) -> Result<Vec<u8>, ImageError> {
    let held = cache.hold(id, &mut Meter::new(&Plain::default(), 0))?;
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut held.file()).unwrap();
    held.file().read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

fn files(machine: &Machine) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(machine.path("cache")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.retain(|name| name != "lock");
    names
}

#[test]
fn an_image_is_fetched_once_and_survives_a_restart() {
    let machine = Machine::new();
    let (id, bytes) = machine.image(100_000);
    let cache = machine.cache();
    assert_eq!(ensure(&cache, id), Ok(Kept::Fetched(100_000)));
    assert_eq!(ensure(&cache, id), Ok(Kept::Present(100_000)));
    drop(cache);
    fs::remove_dir_all(machine.path("images")).unwrap();
    let cache = machine.cache();
    assert_eq!(ensure(&cache, id), Ok(Kept::Present(100_000)));
    assert_eq!(hold(&cache, id).unwrap(), bytes);
}

#[test]
fn the_least_recently_used_go_first_also_after_a_restart() {
    let mut machine = Machine::new();
    machine.bound = 3 * MIB;
    let [one, two, three, four, five] = [(); 5].map(|()| machine.image(MIB as usize).0);
    let cache = machine.cache();
    for id in [one, two, three] {
        ensure(&cache, id).unwrap();
    }
    ensure(&cache, one).unwrap();
    assert_eq!(cache.images(), [two, three, one]);
    ensure(&cache, four).unwrap();
    assert_eq!(cache.images(), [three, one, four]);
    assert_eq!(cache.status().bytes, 3 * MIB);
    drop(cache);
    let cache = machine.cache();
    assert_eq!(cache.images(), [three, one, four]);
    ensure(&cache, five).unwrap();
    assert_eq!(cache.images(), [one, four, five]);
    assert_eq!(files(&machine).len(), 6);
    drop(cache);
    // A smaller bound makes the oldest go.
    machine.bound = MIB;
    assert_eq!(machine.cache().images(), [five]);
    assert_eq!(files(&machine).len(), 2);
}

#[tokio::test]
async fn where_there_is_not_room_for_all_the_first_are_kept() {
    let mut machine = Machine::new();
    machine.bound = 3 * MIB;
    let (old, _) = machine.image(MIB as usize);
    let [one, two] = [(); 2].map(|()| machine.image(MIB as usize).0);
    let (large, _) = machine.image(2 * MIB as usize);
    let (small, _) = machine.image(MIB as usize / 2);
    let missing = Uuid::new_v4();
    let world = machine.start().await;
    world.standby().cache_images(vec![old]).await.unwrap();
    let report = world.standby().cache_images(vec![one, large, missing, two, small]).await.unwrap();
    let states: Vec<_> = report.images.iter().map(|image| (image.image_id, image.state.clone())).collect();
    assert_eq!(states[0], (one, CacheState::Fetched { bytes: MIB }));
    assert_eq!(states[1], (large, CacheState::Fetched { bytes: 2 * MIB }));
    assert!(matches!(&states[2].1, CacheState::Missing { error: ImageError::NotFound { .. } }));
    let no_room = ImageError::NoRoom { image_id: two, size: MIB, room: 0 };
    assert_eq!(states[3], (two, CacheState::Missing { error: no_room }));
    assert!(matches!(&states[4].1, CacheState::Missing { error: ImageError::NoRoom { .. } }));
    assert!(!report.is_complete());
    // The most important is the last to go.
    assert_eq!(world.me.parts().cache.as_ref().unwrap().images(), [large, one]);
}

#[test]
fn what_does_not_fit_drives_nothing_out() {
    let mut machine = Machine::new();
    machine.bound = 2 * MIB;
    let (small, _) = machine.image(MIB as usize);
    let (large, _) = machine.image(3 * MIB as usize);
    let cache = machine.cache();
    ensure(&cache, small).unwrap();
    let error = ensure(&cache, large).unwrap_err();
    assert_eq!(error, ImageError::NoRoom { image_id: large, size: 3 * MIB, room: 2 * MIB });
    assert_eq!(cache.images(), [small]);
}

#[test]
fn what_is_damaged_at_its_source_is_not_kept() {
    let machine = Machine::new();
    let (id, _) = machine.image(100_000);
    fs::write(machine.path("images").join(format!("{id}.img")), noise(100_000, 5)).unwrap();
    let cache = machine.cache();
    assert!(matches!(ensure(&cache, id), Err(ImageError::Damaged { .. })));
    let (bare, _) = machine.image(10);
    fs::write(machine.path("images").join(format!("{bare}.sha256")), "not a checksum").unwrap();
    assert!(matches!(ensure(&cache, bare), Err(ImageError::NotFound { why, .. }) if why.contains("SHA-256")));
    assert_eq!(cache.status().bytes, 0);
    assert!(files(&machine).is_empty());
}

#[test]
fn what_is_damaged_in_the_cache_is_found_and_dropped() {
    let machine = Machine::new();
    let (id, bytes) = machine.image(100_000);
    let (short, _) = machine.image(1000);
    let cache = machine.cache();
    ensure(&cache, id).unwrap();
    ensure(&cache, short).unwrap();
    // One byte, which only its checksum tells.
    let cached = machine.path("cache").join(format!("{id}.img"));
    let mut damaged = bytes.clone();
    damaged[77_777] ^= 1;
    fs::write(&cached, &damaged).unwrap();
    assert!(matches!(hold(&cache, id), Err(ImageError::Damaged { .. })));
    assert_eq!(cache.images(), [short]);
    assert!(!cached.exists());
    assert_eq!(ensure(&cache, id), Ok(Kept::Fetched(100_000)));
    assert_eq!(hold(&cache, id).unwrap(), bytes);
    drop(cache);
    // The length is looked at when the agent starts.
    fs::write(machine.path("cache").join(format!("{short}.img")), "short").unwrap();
    assert_eq!(machine.cache().images(), [id]);
}

/// In whichever order the directory names the two files of each.
#[test]
fn images_that_are_not_whole_are_dropped_however_they_are_found() {
    let machine = Machine::new();
    let cache = machine.cache();
    for _ in 0..32 {
        let (id, _) = machine.image(100);
        ensure(&cache, id).unwrap();
        fs::write(machine.path("cache").join(format!("{id}.img")), "short").unwrap();
    }
    drop(cache);
    assert!(machine.cache().images().is_empty());
    assert!(files(&machine).is_empty());
}

#[test]
fn what_a_crash_left_is_cleared_away_and_what_is_not_ours_is_not() {
    let machine = Machine::new();
    let (id, _) = machine.image(1000);
    ensure(&machine.cache(), id).unwrap();
    let cache = machine.path("cache");
    let other = Uuid::new_v4();
    fs::write(cache.join(format!("{other}.part")), "half").unwrap();
    fs::write(cache.join(format!("{}.img", Uuid::new_v4())), "without a label").unwrap();
    fs::write(cache.join(format!("{}.json", Uuid::new_v4())), "{}").unwrap();
    fs::write(cache.join("notes.txt"), "an operator's").unwrap();
    fs::write(cache.join(format!("{}.IMG", other.to_string().to_uppercase())), "an operator's").unwrap();
    assert_eq!(machine.cache().images(), [id]);
    let left = files(&machine);
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.contains(&"notes.txt".to_owned()));
}

#[test]
fn two_agents_do_not_share_a_directory() {
    let machine = Machine::new();
    let _cache = machine.cache();
    let error = Cache::open(machine.path("cache"), MIB, None).unwrap_err();
    assert!(error.to_string().contains("another agent has this cache"), "{error}");
}

/// A web server that serves an image once, and not before it is let.
fn web(id: Uuid, bytes: Vec<u8>, begin: Arc<Barrier>) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut images = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if path == "/stop" {
                return images;
            }
            let body = if path == format!("/images/{id}.sha256") {
                sha256(&bytes).into_bytes()
            } else if path == format!("/images/{id}.img") {
                images += 1;
                begin.wait();
                bytes.clone()
            } else {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
                continue;
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
        images
    });
    (format!("http://{address}/images/"), serving)
}

#[test]
fn those_who_want_one_image_share_one_download() {
    let machine = Machine::new();
    let (id, bytes) = (Uuid::new_v4(), noise(300_000, 3));
    let begin = Arc::new(Barrier::new(2));
    let (url, serving) = web(id, bytes.clone(), Arc::clone(&begin));
    let cache = Cache::open(machine.path("cache"), 64 * MIB, Some(url.parse::<Source>().unwrap())).unwrap();
    let wanting: Vec<_> = (0..4)
        .map(|_| {
            let cache = cache.clone();
            let work = Arc::new(Plain::default());
            let asked = Arc::clone(&work);
            (asked, thread::spawn(move || cache.ensure(id, &HashSet::new(), &mut Meter::new(&*work, 0))))
        })
        .collect();
    // Three wait for the fourth, which waits for the server: each of them has looked whether it is cancelled.
    let waiting = || wanting.iter().filter(|(work, _)| work.asked.load(std::sync::atomic::Ordering::Relaxed) > 0).count();
    while waiting() < 3 {
        thread::yield_now();
    }
    begin.wait();
    for (_, thread) in wanting {
        assert_eq!(thread.join().unwrap(), Ok(Kept::Fetched(300_000)));
    }
    assert_eq!(hold(&cache, id).unwrap(), bytes);
    let missing = ensure(&cache, Uuid::new_v4()).unwrap_err();
    assert!(matches!(missing, ImageError::NotFound { .. }), "{missing}");
    std::net::TcpStream::connect(url.trim_start_matches("http://").split('/').next().unwrap())
        .unwrap()
        .write_all(b"GET /stop HTTP/1.1\r\n\r\n")
        .unwrap();
    assert_eq!(serving.join().unwrap(), 1);
}

#[test]
fn a_download_that_is_given_up_is_begun_again_by_who_waits() {
    let machine = Machine::new();
    let (id, _) = machine.image(3 * MIB as usize);
    let cache = machine.cache();
    let given_up = cache.ensure(id, &HashSet::new(), &mut Meter::new(&Plain::stopping_after(1), 0));
    assert!(matches!(given_up, Err(ImageError::Cancelled { .. })));
    assert!(files(&machine).is_empty());
    assert_eq!(cache.status().bytes, 0);
    assert_eq!(ensure(&cache, id), Ok(Kept::Fetched(3 * MIB)));
}

#[test]
fn a_source_is_a_directory_or_a_url() {
    assert_eq!("/var/images".parse(), Ok(Source::Directory("/var/images".into())));
    assert_eq!("file:///var/images".parse(), Ok(Source::Directory("/var/images".into())));
    assert_eq!("http://10.0.0.1/i/".parse(), Ok(Source::Http("http://10.0.0.1/i".to_owned())));
    assert_eq!("https://images.example/i".parse(), Ok(Source::Https("https://images.example/i".to_owned(), Vec::new())));
    for no in ["ftp://x", "http://", "https://"] {
        assert!(no.parse::<Source>().is_err(), "{no}");
    }
}

#[test]
fn the_length_that_is_said_is_held() {
    let machine = Machine::new();
    let id = Uuid::new_v4();
    publish(&machine.path("images"), id, b"");
    assert_eq!(ensure(&machine.cache(), id), Ok(Kept::Fetched(0)));
}
