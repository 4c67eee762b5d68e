# A service account for each machine that can read two objects, the bundle and the machine's own join
# token, and nothing else. No agent gets at it: docs/cloud.md, "The metadata service".

resource "google_service_account" "machine" {
  for_each = var.machines

  account_id   = "clove-${substr(sha256("${var.name}/${each.key}"), 0, 20)}" # 30 characters at most
  display_name = "Machine ${each.key} of the deployment ${var.name} of Clove"
}

resource "google_storage_bucket_iam_member" "machine" {
  for_each = var.machines

  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.machine[each.key].email}"

  condition {
    title       = "two objects"
    description = "The bundle, and this machine's join token"
    expression = join(" || ", [
      for object in [var.bundle_key, "join/${each.key}"] :
      "resource.name == \"projects/_/buckets/${var.bucket}/objects/${object}\""
    ])
  }
}
