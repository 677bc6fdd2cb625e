//! Streams of many buffers.

use crate::net::{batch, recv_stream};

/// Buffers sent as a batch to a slow reader arrive byte for byte in their order, whatever the
/// window, and batches of nothing are done at once.
#[test]
fn c16_windowed_send_is_ordered() {
    batch::every_byte_is_in_its_place_for_every_window();
    batch::a_batch_without_bytes_is_sent_without_a_call();
}

/// Running out of buffers that are provided to the kernel loses no byte and ends no stream.
#[test]
fn c17_enobufs_keeps_data() {
    recv_stream::buffers::streams_go_on_while_all_buffers_are_held();
    recv_stream::buffers::a_hundred_streams_share_a_small_pool_and_each_gets_its_bytes();
}
