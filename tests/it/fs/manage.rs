//! Lengths, blocks and buffers of open files.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use spargio::fs::{Advice, Allocate, File, OpenOptions, SyncRange};

use super::{PLACES, Scratch, on_a_shard};

#[test]
fn lengths_and_permissions_are_set() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("file");
        on_a_shard(async move {
            let file = File::create(&path).await.unwrap();
            file.write_all_at("twelve bytes", 0).await.0.unwrap();
            file.set_len(6).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"twelve");
            file.set_len(8).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"twelve\0\0");
            let error = file.set_len(u64::MAX).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            file.set_permissions(Permissions::from_mode(0o604)).await.unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o604);

            let reader = File::open(&path).await.unwrap();
            let error = reader.set_len(1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "not open for writing");
        });
        drop(scratch);
    }
}

#[test]
fn blocks_are_reserved_and_freed() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        let file = File::create(&path).await.unwrap();
        let len = 1 << 20;
        file.allocate(Allocate::Extend, 0, len).await.unwrap();
        assert_eq!(path.metadata().unwrap().len(), len);
        assert!(path.metadata().unwrap().blocks() * 512 >= len);
        file.allocate(Allocate::KeepLen, len, len).await.unwrap();
        assert_eq!(path.metadata().unwrap().len(), len);
        file.write_all_at(vec![7; 16_384], 0).await.0.unwrap();
        match file.allocate(Allocate::PunchHole, 4096, 8192).await {
            Ok(()) => {
                let text = std::fs::read(&path).unwrap();
                assert!(text[..4096].iter().all(|&byte| byte == 7));
                assert!(text[4096..12_288].iter().all(|&byte| byte == 0));
                assert!(text[12_288..16_384].iter().all(|&byte| byte == 7));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
        }
        let error = file.allocate(Allocate::Extend, 0, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = file.allocate(Allocate::Extend, 1 << 62, 1 << 63).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn advice_and_partial_flushes_are_taken() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&path).await.unwrap();
        file.write_all_at(vec![1; 100_000], 0).await.0.unwrap();
        for how in [SyncRange::Start, SyncRange::Complete] {
            file.sync_range(how, ..).await.unwrap();
            file.sync_range(how, 4096..8192).await.unwrap();
        }
        for advice in [
            Advice::Normal,
            Advice::Sequential,
            Advice::Random,
            Advice::NoReuse,
            Advice::WillNeed,
            Advice::DontNeed,
        ] {
            file.advise(advice, ..).await.unwrap();
            file.advise(advice, 0..=8191).await.unwrap();
        }
        let error = file.advise(Advice::Normal, u64::MAX..).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn several_buffers_are_filled_and_written_in_order() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("file");
        on_a_shard(async move {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).open(&path).await.unwrap();
            let parts: Vec<Vec<u8>> = vec![b"one ".to_vec(), Vec::new(), b"two three".to_vec()];
            let (written, parts) = file.write_vectored_at(parts, 3).await;
            assert_eq!(written.unwrap(), 13);
            assert_eq!(parts[2], b"two three");
            assert_eq!(std::fs::read(&path).unwrap(), b"\0\0\0one two three");

            // The last buffer is longer than what is left.
            let bufs = vec![vec![9; 2], Vec::new(), vec![9; 5], vec![9; 100]];
            let (read, bufs) = file.read_vectored_at(bufs, 3).await;
            assert_eq!(read.unwrap(), 13);
            let texts: Vec<&[u8]> = bufs.iter().map(Vec::as_slice).collect();
            assert_eq!(texts, [&b"on"[..], b"", b"e two", b" three"]);

            let (read, bufs) = file.read_vectored_at(vec![vec![0; 4]; 3], u64::MAX).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(bufs.len(), 3);
            let (read, _) = file.read_vectored_at(Vec::<Vec<u8>>::new(), 0).await;
            assert_eq!(read.unwrap(), 0);

            // More than the kernel takes at once.
            let (written, bufs) = file.write_vectored_at(vec!["x"; 3000], 0).await;
            assert_eq!(written.unwrap(), 1024);
            assert_eq!(bufs.len(), 3000);
        });
        drop(scratch);
    }
}

#[test]
fn what_the_file_says_of_direct_transfers_holds() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        std::fs::write(&path, vec![5; 65_536]).unwrap();
        let file = File::open(&path).await.unwrap();
        let Some(alignment) = file.metadata().await.unwrap().direct_alignment() else {
            println!("not tried: this file system has no direct I/O");
            return;
        };
        assert!(alignment.memory.is_power_of_two() && alignment.offset.is_power_of_two());
        let mut direct = OpenOptions::new();
        direct.read(true).custom_flags(libc::O_DIRECT);
        let direct = direct.open(&path).await.unwrap();
        let unit = alignment.memory.max(alignment.offset) as usize;
        let buf = vec![0_u8; 3 * unit];
        // A stretch of the vector whose address is a multiple of the unit.
        let start = buf.as_ptr().align_offset(unit);
        let buf = spargio::IoBuf::slice(buf, start..start + unit);
        let (read, buf) = direct.read_at(buf, unit as u64).await;
        assert_eq!(read.unwrap(), unit);
        assert!(buf.iter().all(|&byte| byte == 5));
        let std = std::fs::File::open(&path).unwrap();
        std.read_exact_at(&mut [0; 1], 0).unwrap();
    });
}
