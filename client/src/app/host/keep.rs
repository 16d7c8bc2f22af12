//! The certificate, kept from one start to the next, so that guests confirm it once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use baton_server::{CERTIFICATE_LIFE, SelfSigned};

/// The one in `file`, or a new one where there is none, it is nearly over, or another is asked for.
pub(super) fn certificate(
    file: &Path,
    title: &str,
    is_new_wanted: bool,
    now: SystemTime,
) -> anyhow::Result<SelfSigned> {
    let place = || format!("the certificate in {}", file.display());
    if !is_new_wanted {
        match fs::read_to_string(file) {
            Ok(text) if is_good(file, now) => {
                return SelfSigned::from_pem(&text).with_context(|| {
                    format!("cannot use {}; --new-certificate makes another", place())
                });
            }
            Ok(_) => tracing::info!("{} is nearly over; a new one is made", place()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", place())),
        }
    }
    // Without addresses: they change with the network, and browsers warn all the same.
    let made = SelfSigned::make(title, &[], now).context("cannot make a certificate")?;
    save(file, made.pem()).with_context(|| format!("cannot write {}", place()))?;
    Ok(made)
}

/// A file is as old as the certificate in it.
fn is_good(file: &Path, now: SystemTime) -> bool {
    let made = fs::metadata(file).and_then(|file| file.modified());
    let age = made.map(|made| now.duration_since(made).unwrap_or_default());
    age.is_ok_and(|age| age + LAST_WEEK < CERTIFICATE_LIFE)
}

/// Writes it beside and then over the old one, readable for nobody else from the first moment.
fn save(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&fresh)?.write_all(text.as_bytes())?;
    fs::rename(fresh, file)
}

/// Nobody shall have to confirm a certificate that ends tomorrow.
const LAST_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("baton-keep-{:016x}", rand::random::<u64>());
            Self(std::env::temp_dir().join(name))
        }

        fn file(&self) -> PathBuf {
            self.0.join("state/certificate.pem")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_certificate_stays_until_another_is_asked_for_or_its_time_is_over() {
        let folder = Folder::new();
        let now = SystemTime::now();
        let get = |is_new, now| {
            let got = certificate(&folder.file(), "a test", is_new, now);
            got.unwrap().digest()
        };
        let first = get(false, now);
        assert_eq!(get(false, now), first);
        let second = get(true, now);
        assert_ne!(second, first);
        assert_eq!(get(false, now + CERTIFICATE_LIFE / 2), second);
        assert_ne!(get(false, now + CERTIFICATE_LIFE), second);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        certificate(&folder.file(), "a test", false, SystemTime::now()).unwrap();
        let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_none_is_named_and_left_alone() {
        let folder = Folder::new();
        let file = folder.file();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "a letter").unwrap();
        let error = certificate(&file, "a test", false, SystemTime::now()).unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains("certificate.pem; --new-certificate"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "a letter");
    }
}
