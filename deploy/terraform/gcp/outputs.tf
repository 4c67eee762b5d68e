output "instances" {
  description = "For each machine's id, the name of its instance."
  value       = { for machine, instance in google_compute_instance.machine : machine => instance.name }
}

output "addresses" {
  description = "For each machine's id, the public address that it connects from; nothing listens there."
  value = {
    for machine, instance in google_compute_instance.machine :
    machine => instance.network_interface[0].access_config[0].nat_ip
  }
}

output "bucket" {
  description = "The bucket with the bundle, and with the tokens of machines that have yet to join."
  value       = google_storage_bucket.this.name
}

output "image" {
  description = "The image that a machine made now would boot."
  value       = var.image
}
