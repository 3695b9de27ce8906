-- BigDB in small: the tables of the schema `cdr`, in words that MariaDB and MySQL both know.
CREATE SCHEMA IF NOT EXISTS cdr DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE TABLE IF NOT EXISTS cdr.call_records (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  call_id CHAR(36) NOT NULL,
  org_id INT UNSIGNED NOT NULL,
  direction ENUM('inbound', 'outbound', 'internal') NOT NULL,
  from_number VARCHAR(20) NOT NULL,
  to_number VARCHAR(20) NOT NULL,
  start_time DATETIME(3) NOT NULL,
  answer_time DATETIME(3) NULL,
  end_time DATETIME(3) NULL,
  duration_s INT UNSIGNED NOT NULL DEFAULT 0,
  disposition ENUM('in_progress', 'answered', 'no_answer', 'busy', 'failed') NOT NULL,
  cost DECIMAL(10,4) NOT NULL DEFAULT 0,
  details JSON NULL,
  modified TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  UNIQUE KEY call_id (call_id),
  KEY org_start (org_id, start_time),
  KEY start_time (start_time)
);
CREATE TABLE IF NOT EXISTS cdr.call_recordings (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  call_record_id BIGINT UNSIGNED NOT NULL,
  org_id INT UNSIGNED NOT NULL,
  storage_key VARCHAR(200) NOT NULL,
  size_bytes BIGINT UNSIGNED NOT NULL,
  checksum BINARY(8) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  KEY org_created (org_id, created_at),
  KEY call_record (call_record_id)
);
CREATE TABLE IF NOT EXISTS cdr.call_events (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  call_record_id BIGINT UNSIGNED NOT NULL,
  org_id INT UNSIGNED NOT NULL,
  event_type VARCHAR(20) NOT NULL,
  event_time DATETIME(3) NOT NULL,
  KEY org_time (org_id, event_time),
  KEY call_record (call_record_id)
);
CREATE TABLE IF NOT EXISTS cdr.analytics_hourly (
  org_id INT UNSIGNED NOT NULL,
  hour DATETIME NOT NULL,
  calls INT UNSIGNED NOT NULL,
  answered INT UNSIGNED NOT NULL,
  talk_s BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (org_id, hour)
);
CREATE TABLE IF NOT EXISTS cdr.analytics_daily (
  org_id INT UNSIGNED NOT NULL,
  day DATE NOT NULL,
  calls INT UNSIGNED NOT NULL,
  answered INT UNSIGNED NOT NULL,
  talk_s BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (org_id, day)
);
