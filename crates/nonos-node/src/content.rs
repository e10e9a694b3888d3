//! Content: files named by their BLAKE3 hash, in a folder. What lies there is whole; what is on its way lies beside it.
//!
//! A file is moved to its name after all its bytes are on the disk, so whatever moment the node is killed, a name never
//! stands for other bytes. What a download has got so far is a file and a resume record, written in that order.

use nonos_mesh_proto::transfer::{Content, ContentBuilder, ContentError, RESUME_BYTES_MAX, Resume};
use nonos_types::Hash32;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    ops::Deref,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::NamedTempFile;

/// How much is read at once where a file is hashed.
const HASH_READ_BYTES: usize = 1 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub struct ContentFolder {
    whole: PathBuf,
    parts: PathBuf,
    /// What was taken in and is not decided about yet, and how often.
    taken: Arc<Mutex<BTreeMap<Hash32, usize>>>,
}

/// Content that is in the folder. As long as this is there, nobody throws it away.
#[derive(Debug)]
pub struct Taken {
    content: Arc<Content>,
    folder: ContentFolder,
}

impl Taken {
    /// The content.
    #[must_use]
    pub fn content(&self) -> Arc<Content> {
        self.content.clone()
    }
}

impl Deref for Taken {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.content
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.folder.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.content.root()) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.content.root());
            }
        }
    }
}

impl ContentFolder {
    /// Opens it, or makes it; throws away what was being taken in when the node ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let opened = Self { whole: folder.join("content"), parts: folder.join("parts"), taken: Arc::default() };
        fs::create_dir_all(&opened.whole)?;
        fs::create_dir_all(&opened.parts)?;
        for entry in fs::read_dir(&opened.parts)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".taking-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(opened)
    }

    /// Where a content is.
    #[must_use]
    pub fn path(&self, root: Hash32) -> PathBuf {
        self.whole.join(root.to_string())
    }

    fn tree_path(&self, root: Hash32) -> PathBuf {
        self.whole.join(format!("{root}.tree"))
    }

    fn part_path(&self, root: Hash32) -> PathBuf {
        self.parts.join(root.to_string())
    }

    fn resume_path(&self, root: Hash32) -> PathBuf {
        self.parts.join(format!("{root}.resume"))
    }

    /// A file to take bytes in; it is gone when it is dropped.
    ///
    /// # Errors
    /// What the system says.
    pub fn taking(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(".taking-").tempfile_in(&self.parts)
    }

    /// Hashes what was taken in and gives it its name.
    ///
    /// # Errors
    /// What the system says, or [`ContentError`] inside.
    pub fn keep(&self, file: NamedTempFile) -> io::Result<Result<Taken, ContentError>> {
        file.as_file().sync_all()?;
        let content = match tree_of(&mut File::open(file.path())?)? {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        let taken = self.take(content);
        self.write_tree(&taken)?;
        file.persist(self.path(taken.root())).map_err(|error| error.error)?;
        sync_folder(&self.whole)?;
        Ok(Ok(taken))
    }

    /// From now on it is not thrown away.
    fn take(&self, content: Content) -> Taken {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.entry(content.root()).or_default() += 1;
        Taken { content: Arc::new(content), folder: self.clone() }
    }

    /// The tree of a content that is here; made anew where its file is lost or damaged. None when it is not here, or has
    /// other bytes than its name says.
    ///
    /// # Errors
    /// What the system says.
    pub fn load(&self, root: Hash32) -> io::Result<Option<Content>> {
        let mut file = match File::open(self.path(root)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let saved = fs::read(self.tree_path(root)).ok().and_then(|bytes| Content::from_saved(&bytes, root).ok());
        if let Some(content) = saved.filter(|content| content.shape().size() == length) {
            return Ok(Some(content));
        }
        match tree_of(&mut file)? {
            Ok(content) if content.root() == root => {
                self.write_tree(&content)?;
                Ok(Some(content))
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    fn write_tree(&self, content: &Content) -> io::Result<()> {
        write_whole(&self.tree_path(content.root()), &content.to_bytes())
    }

    /// Bytes of a content that is here.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self, root: Hash32, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.path(root))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Throws a content away, unless it was taken in meanwhile and is not decided about.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, root: Hash32) -> io::Result<()> {
        // Until it is gone nobody takes it in.
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains_key(&root) {
            return Ok(());
        }
        for path in [self.path(root), self.tree_path(root)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Throws away what is neither among these nor the tree of one of them: a kill may have come between a file and the
    /// word that it is held. Gives how many files went.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep_only(&self, roots: &BTreeSet<Hash32>) -> io::Result<usize> {
        let mut gone = 0;
        for entry in fs::read_dir(&self.whole)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let root = name.strip_suffix(".tree").unwrap_or(&name).parse();
            if !root.is_ok_and(|root| roots.contains(&root)) {
                fs::remove_file(entry.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Begins a download, or goes on with one.
    ///
    /// # Errors
    /// What the system says.
    pub fn part(&self, root: Hash32) -> io::Result<(Part, Option<Resume>)> {
        let resume = match File::open(self.resume_path(root)) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(RESUME_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
                Resume::from_bytes(&bytes).ok().filter(|resume| resume.root() == root)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let path = self.part_path(root);
        // A record without its bytes says nothing.
        let resume = resume.filter(|_| path.exists());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        // An earlier try may still be at it, and may be about to give it its name.
        let busy = || io::Error::new(io::ErrorKind::WouldBlock, "an earlier try is still being written: try again");
        file.try_lock().map_err(|_| busy())?;
        if fs::metadata(&path).map(|named| named.ino()).ok() != Some(file.metadata()?.ino()) {
            return Err(busy());
        }
        if resume.is_none() {
            file.set_len(0)?;
        }
        let is_new = resume.is_none();
        Ok((Part { folder: self.clone(), root, file, is_new, hashing: None }, resume))
    }
}

/// A download's file.
#[derive(Debug)]
pub struct Part {
    folder: ContentFolder,
    root: Hash32,
    file: File,
    /// Whether nothing was there from an earlier try.
    is_new: bool,
    hashing: Option<Hashing>,
}

/// The tree of what is on the disk so far, from the front: at the end little is left to hash.
#[derive(Debug)]
struct Hashing {
    builder: ContentBuilder,
    upto: u64,
    /// What was written behind it: where it begins and ends.
    ahead: BTreeMap<u64, u64>,
}

impl Part {
    /// Writes bytes of content of this size that are verified.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, size: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        if self.is_new && self.hashing.is_none() {
            let builder = ContentBuilder::new(size).map_err(io::Error::other)?;
            self.hashing = Some(Hashing { builder, upto: 0, ahead: BTreeMap::new() });
        }
        let Some(hashing) = &mut self.hashing else { return Ok(()) };
        hashing.ahead.insert(offset, offset + bytes.len() as u64);
        while let Some(end) = hashing.ahead.remove(&hashing.upto) {
            // As the disk has it, not as it was handed in.
            let mut piece = vec![0; (end - hashing.upto) as usize];
            self.file.read_exact_at(&mut piece, hashing.upto)?;
            hashing.builder.push(&piece).map_err(io::Error::other)?;
            hashing.upto = end;
        }
        Ok(())
    }

    /// Saves how far it is, once what it names is on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, resume: &Resume) -> io::Result<()> {
        self.file.sync_data()?;
        write_whole(&self.folder.resume_path(self.root), &resume.to_bytes())
    }

    /// All bytes are written: makes its tree from the disk and gives it its name. None when the disk lost something: the
    /// download begins anew.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self, size: u64) -> io::Result<Option<Taken>> {
        self.file.set_len(size)?;
        self.file.sync_all()?;
        let (part, resume) = (self.folder.part_path(self.root), self.folder.resume_path(self.root));
        let content = match self.hashing.take() {
            Some(Hashing { builder, upto, .. }) => tree_from(&mut self.file, builder, upto)?,
            None => tree_of(&mut self.file)?,
        };
        let content = content.ok().filter(|content| content.root() == self.root);
        let Some(content) = content else {
            self.discard()?;
            return Ok(None);
        };
        let content = self.folder.take(content);
        self.folder.write_tree(&content)?;
        fs::rename(&part, self.folder.path(self.root))?;
        sync_folder(&self.folder.whole)?;
        // The record names nothing any more.
        let _ = fs::remove_file(resume);
        Ok(Some(content))
    }

    /// Throws it away.
    ///
    /// # Errors
    /// What the system says.
    pub fn discard(self) -> io::Result<()> {
        let _ = fs::remove_file(self.folder.resume_path(self.root));
        fs::remove_file(self.folder.part_path(self.root))
    }
}

fn tree_of(file: &mut File) -> io::Result<Result<Content, ContentError>> {
    match ContentBuilder::new(file.metadata()?.len()) {
        Ok(builder) => tree_from(file, builder, 0),
        Err(error) => Ok(Err(error)),
    }
}

/// Hashes the rest of a file.
fn tree_from(file: &mut File, mut builder: ContentBuilder, from: u64) -> io::Result<Result<Content, ContentError>> {
    file.seek(io::SeekFrom::Start(from))?;
    let mut buffer = vec![0; HASH_READ_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(builder.finish());
        }
        if let Err(error) = builder.push(&buffer[..read]) {
            return Ok(Err(error));
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".taking-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_never_written_by_two_downloads() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ContentFolder::open(dir.path()).unwrap();
        let bytes = [7; 5_000];
        let root = Hash32::from_bytes(*blake3::hash(&bytes).as_bytes());
        let (mut part, _) = folder.part(root).unwrap();
        part.write(5_000, 0, &bytes).unwrap();
        assert_eq!(folder.part(root).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let taken = part.finish(5_000).unwrap().unwrap();
        assert_eq!(folder.read(root, 0, 5_000).unwrap(), bytes);
        // The next one begins a file of its own.
        folder.part(root).unwrap().0.discard().unwrap();
        assert_eq!(folder.read(root, 0, 5_000).unwrap(), bytes);
        // As long as nobody has decided about it, it stays.
        folder.remove(root).unwrap();
        assert!(folder.path(root).exists());
        drop(taken);
        folder.remove(root).unwrap();
        assert!(!folder.path(root).exists());
    }
}
