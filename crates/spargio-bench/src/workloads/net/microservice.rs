//! Servers that ask the file system for each request: a block of a file, or a file's length.

use std::fs;
use std::os::unix::fs::FileExt;

use super::pattern::put_word;
use super::service::{PATTERN, SIZE, Service, ask, ask_by_hand};
use super::{Floor, Spec, Stage, Workload, failed};
use crate::measure::{Slice, Wrong};
use crate::runtimes::{File, Need, Runtime};
use crate::workloads::fs::{BLOCK, Blocks, Lengths, Offsets, check_block, check_start};

/// One request at a time for a block.
pub(crate) struct Microservice;

impl Workload for Microservice {
    const SPEC: Spec = Spec::new(
        "net_api",
        "fs_net_microservice_4k_read_then_256b_reply_qd1",
        "request",
        "A client sends 256 B which name a block. The server reads those 4 KiB from a cached file, \
         with the runtime's own file, and answers with the first 256 B of them, one request at a \
         time. Block and answer are checked. Where nobody steals, the client is on another thread \
         than the server. Floor: both ends and the read on one thread, by calls that never have to \
         wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let blocks = Blocks::prepare()?;
        stage.inside(move |runtime| {
            let opening = runtime.clone();
            let making = async move {
                let file = opening.open(blocks.path()).await.map_err(failed("open"))?;
                Ok(Reading { file, block: Some(R::File::block(BLOCK)) })
            };
            let numbers = Offsets::of(0).take(times as usize);
            ask(runtime, making, numbers, |number, _, answer| check_start(answer, number))
        })
    }

    const FLOOR: Option<Floor> = Some(|_setup, times| {
        let file = Blocks::prepare()?.open()?;
        let mut block = [0; BLOCK];
        let read = |number: u64, request: &mut [u8]| {
            file.read_exact_at(&mut block, number * BLOCK as u64).map_err(failed("pread"))?;
            check_block(&block, number)?;
            request.copy_from_slice(&block[..SIZE]);
            Ok(())
        };
        let numbers = Offsets::of(0).take(times as usize);
        ask_by_hand(numbers, read, |number, _, answer| check_start(answer, number))
    });
}

/// Reads the block of the number.
struct Reading<F: File> {
    file: F,
    /// Not there while it is being read into.
    block: Option<F::Block>,
}

impl<F: File> Service for Reading<F> {
    async fn answer(&mut self, number: u64, request: &mut [u8]) -> Result<(), Wrong> {
        let block = self.block.take().unwrap_or_else(|| F::block(BLOCK));
        let (result, read) = self.file.read_at(block, number * BLOCK as u64).await;
        result.map_err(failed("read_at"))?;
        check_block(read.as_ref(), number)?;
        request.copy_from_slice(&read.as_ref()[..SIZE]);
        self.block = Some(read);
        Ok(())
    }
}

/// One request at a time for a length.
pub(crate) struct MetadataThenReply;

impl Workload for MetadataThenReply {
    const SPEC: Spec = Spec {
        needs: &[Need::Metadata],
        ..Spec::new(
            "net_api",
            "fs_metadata_then_reply_qd1",
            "request",
            "A client sends 256 B which name one of 64 files of different lengths. The server asks \
             for the metadata of its path, with the runtime's own call, and answers with the same \
             256 B and the length in them, one request at a time. Where nobody steals, the client \
             is on another thread than the server. Floor: both ends and statx on one thread, by \
             calls that never have to wait.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let lengths = Lengths::prepare()?;
        stage.inside(move |runtime| {
            let asking = Asking { runtime: runtime.clone(), lengths };
            let numbers = Offsets::of(0).take(times as usize);
            ask(runtime, async { Ok(asking) }, numbers, |number, asked, answer| {
                PATTERN.check_behind(Lengths::length(number), answer, asked)
            })
        })
    }

    const FLOOR: Option<Floor> = Some(|_setup, times| {
        let lengths = Lengths::prepare()?;
        let stat = |number: u64, request: &mut [u8]| {
            let metadata = fs::metadata(lengths.path(number)).map_err(failed("stat"))?;
            put_word(request, metadata.len());
            Ok(())
        };
        let numbers = Offsets::of(0).take(times as usize);
        ask_by_hand(numbers, stat, |number, asked, answer| {
            PATTERN.check_behind(Lengths::length(number), answer, asked)
        })
    });
}

/// Asks for the length of the file of the number.
struct Asking<R> {
    runtime: R,
    lengths: Lengths,
}

impl<R: Runtime> Service for Asking<R> {
    async fn answer(&mut self, number: u64, request: &mut [u8]) -> Result<(), Wrong> {
        let length = self.runtime.metadata(self.lengths.path(number)).await;
        put_word(request, length.map_err(failed("stat"))?);
        Ok(())
    }
}
