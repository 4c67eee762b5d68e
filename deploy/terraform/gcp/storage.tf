# What machines fetch at their first boot: the bundle, and each its own join token. The tokens go
# from files into the bucket, so neither variables, plans nor the state have them; when a
# machine has joined, its token is used up, and the next apply removes it.

resource "google_storage_bucket" "this" {
  name                        = var.bucket
  location                    = var.region
  force_destroy               = true
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

resource "google_storage_bucket_object" "bundle" {
  bucket = google_storage_bucket.this.name
  name   = var.bundle_key
  source = var.bundle_file
}

resource "google_storage_bucket_object" "join_token" {
  for_each = var.join_token_files

  bucket = google_storage_bucket.this.name
  name   = "join/${each.key}"
  source = each.value
}
