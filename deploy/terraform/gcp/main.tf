resource "google_compute_instance" "machine" {
  for_each = var.machines

  name         = "clove-${each.key}"
  zone         = var.zone == "" ? "${var.region}-b" : var.zone
  machine_type = var.instance_type

  boot_disk {
    auto_delete       = true
    kms_key_self_link = var.disk_key == "" ? null : var.disk_key

    initialize_params {
      image = var.image
      size  = var.disk_gib
      type  = "pd-balanced"
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.this.id

    access_config {
      network_tier = "STANDARD"
    }
  }

  # The metadata service has no hop limit here: the units of kernel and tunnel close it for agents.
  service_account {
    email  = google_service_account.machine[each.key].email
    scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
  }

  metadata = {
    user-data               = file(each.value)
    block-project-ssh-keys  = "true"
    enable-guest-attributes = "false"
  }

  scheduling {
    provisioning_model          = var.spot ? "SPOT" : "STANDARD"
    preemptible                 = var.spot
    automatic_restart           = !var.spot
    instance_termination_action = var.spot ? "STOP" : null
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  # A newer image or another first boot is for machines that are made anew; these have state.
  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image, metadata["user-data"]]
  }

  # What the first boot asks for is there before it.
  depends_on = [
    google_compute_firewall.outward,
    google_storage_bucket_iam_member.machine,
    google_storage_bucket_object.bundle,
    google_storage_bucket_object.join_token,
  ]
}
