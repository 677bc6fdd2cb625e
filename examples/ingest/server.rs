//! The server: one task per connection, which writes what it receives to the file of its stream.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use spargio::JoinHandle;
use spargio::fs::File;
use spargio::net::{TcpListener, TcpStream};

use crate::pattern::Checksum;
use crate::stop::Stop;
use crate::wire::{Ack, Hello, receive_length};

/// What became of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its number.
    pub(crate) stream: u64,
    /// Its file.
    pub(crate) path: PathBuf,
    /// Bytes received, all of which are in the file.
    pub(crate) bytes: u64,
    /// Their checksum.
    pub(crate) checksum: u64,
    /// Whether the client ended the stream, or only the connection.
    pub(crate) complete: bool,
}

/// Accepts connections and remembers what they stored.
#[derive(Debug)]
pub(crate) struct Server {
    directory: PathBuf,
    stop: Stop,
    stored: Mutex<Vec<Stored>>,
}

impl Server {
    /// A server that writes to this directory.
    pub(crate) fn new(directory: &Path, stop: Stop) -> Arc<Self> {
        Arc::new(Self { directory: directory.to_owned(), stop, stored: Mutex::default() })
    }

    /// What was stored up to now.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts until it is stopped, then waits until each connection has finished its request.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let mut connections: Vec<JoinHandle<()>> = Vec::new();
        while let Some(accepted) = self.stop.unless_stopped(listener.accept()).await {
            let (stream, peer) = accepted?;
            let server = Arc::clone(&self);
            connections.retain(|connection| !connection.is_finished());
            connections.push(spargio::spawn(async move {
                if let Err(error) = server.connection(stream).await {
                    eprintln!("connection of {peer}: {error}");
                }
            })?);
        }
        for connection in connections {
            connection.await?;
        }
        Ok(())
    }

    async fn connection(&self, stream: TcpStream) -> io::Result<()> {
        let Some(hello) =
            self.stop.unless_stopped(Hello::receive(&stream)).await.transpose()?.flatten()
        else {
            return Ok(());
        };
        let path = self.directory.join(format!("stream-{:06}", hello.stream));
        let file = File::create(&path).await?;
        let mut stored = Stored {
            stream: hello.stream,
            path,
            bytes: 0,
            checksum: Checksum::new().get(),
            complete: false,
        };
        let received = self.receive(&stream, &file, &mut stored).await;
        // Whatever ended the connection, what was acknowledged is accounted for.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).push(stored);
        file.close().await?;
        received
    }

    async fn receive(
        &self,
        stream: &TcpStream,
        file: &File,
        stored: &mut Stored,
    ) -> io::Result<()> {
        let mut checksum = Checksum::new();
        let mut buffer = Vec::new();
        loop {
            // A stop lets go of the connection between two requests, never inside of one.
            let Some(length) = self.stop.unless_stopped(receive_length(stream)).await else {
                return file.sync_data().await;
            };
            let Some(length) = length? else { return Ok(()) };
            if length == 0 {
                file.sync_data().await?;
                stored.complete = true;
                return Ack { written: stored.bytes, checksum: checksum.get() }.send(stream).await;
            }
            buffer.clear();
            buffer.reserve_exact(length);
            let (result, slice) = stream.read_exact(spargio::IoBuf::slice(buffer, ..length)).await;
            buffer = slice.into_inner();
            result?;
            checksum.add(&buffer);
            let (result, written) = file.write_all_at(buffer, stored.bytes).await;
            buffer = written;
            result?;
            stored.bytes += length as u64;
            stored.checksum = checksum.get();
            Ack { written: stored.bytes, checksum: stored.checksum }.send(stream).await?;
        }
    }
}
