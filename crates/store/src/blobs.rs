use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use std::ops::Range;
use std::sync::Arc;

/// Why bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There are no bytes of that name.
    #[error("no blob {0:?}")]
    Missing(String),
    /// The sender's stream broke off.
    #[error("upload broke off")]
    Upload(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The object store failed.
    #[error("object store")]
    Engine(#[source] object_store::Error),
}

/// Bytes by random name. The names are ours ([`Blobs::name`]), so no caller's text ever becomes a path.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Uses an object store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Blobs { store }
    }

    /// Keeps blobs as files in a folder, which is made if need be. What was acknowledged is on the disk. Files that a
    /// crash left half-written are removed, so a folder is opened once and before anything is written.
    ///
    /// # Errors
    /// [`BlobError::Engine`] if the folder cannot be made.
    pub fn in_folder(folder: &std::path::Path) -> Result<Self, BlobError> {
        let io = |source| BlobError::Engine(object_store::Error::Generic { store: "files", source: Box::new(source) });
        std::fs::create_dir_all(folder).map_err(io)?;
        remove_half_written(folder).map_err(io)?;
        let files = object_store::local::LocalFileSystem::new_with_prefix(folder).map_err(BlobError::Engine)?;
        Ok(Blobs::new(Arc::new(files.with_fsync(true))))
    }

    /// A fresh random name, spread over 256 folders.
    pub fn name() -> String {
        let id = headwater_model::id::random_lower_alphanumeric(32);
        format!("{}/{}", &id[..2], &id[2..])
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.store.put(&Path::from(name), bytes.into()).await.map_err(BlobError::Engine)?;
        Ok(())
    }

    /// Writes a stream of bytes; nothing is left if it breaks off. Returns how many there were.
    ///
    /// # Errors
    /// [`BlobError::Upload`] if the stream fails; [`BlobError::Engine`].
    pub async fn put_stream<E>(
        &self,
        name: &str,
        mut stream: impl futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<u64, BlobError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let upload = self.store.put_multipart(&Path::from(name)).await.map_err(BlobError::Engine)?;
        let mut writer = WriteMultipart::new(upload);
        let mut size = 0;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => {
                    size += chunk.len() as u64;
                    writer.wait_for_capacity(4).await.map_err(BlobError::Engine)?;
                    writer.put(chunk);
                }
                Err(error) => {
                    let _ = writer.abort().await;
                    return Err(BlobError::Upload(error.into()));
                }
            }
        }
        writer.finish().await.map_err(BlobError::Engine)?;
        Ok(size)
    }

    /// Reads all bytes as a stream.
    ///
    /// # Errors
    /// [`BlobError::Missing`]; [`BlobError::Engine`].
    pub async fn stream(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        let options =
            object_store::GetOptions { range: range.map(object_store::GetRange::Bounded), ..Default::default() };
        let got = self.store.get_opts(&Path::from(name), options).await.map_err(|e| not_found(name, e))?;
        Ok(got.into_stream().map(|chunk| chunk.map_err(BlobError::Engine)).boxed())
    }

    /// Reads all bytes at once; for small things.
    ///
    /// # Errors
    /// [`BlobError::Missing`]; [`BlobError::Engine`].
    pub async fn bytes(&self, name: &str) -> Result<Bytes, BlobError> {
        let got = self.store.get(&Path::from(name)).await.map_err(|e| not_found(name, e))?;
        got.bytes().await.map_err(BlobError::Engine)
    }

    /// Names of all blobs in a folder, in no order. The names are as given when they were written.
    pub fn names(&self, folder: &str) -> BoxStream<'static, Result<String, BlobError>> {
        let listed = self.store.list(Some(&Path::from(folder)));
        listed.map(|meta| meta.map(|meta| meta.location.to_string()).map_err(BlobError::Engine)).boxed()
    }

    /// Removes bytes; missing ones are fine.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Engine(error)),
        }
    }
}

fn not_found(name: &str, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::Missing(name.into()),
        other => BlobError::Engine(other),
    }
}

/// The file engine writes `NAME#NUMBER` and renames it to `NAME` when it is whole.
fn remove_half_written(folder: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_half_written(&entry.path())?;
        } else if kind.is_file() && entry.file_name().as_encoded_bytes().contains(&b'#') {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
