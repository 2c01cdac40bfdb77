//! Notices that the settings may have changed, and reads them again.
