output "instances" {
  description = "For each machine's id, the id of its instance."
  value       = { for machine, instance in aws_instance.machine : machine => instance.id }
}

output "addresses" {
  description = "For each machine's id, the public address that it connects from; nothing listens there."
  value       = { for machine, instance in aws_instance.machine : machine => instance.public_ip }
}

output "bucket" {
  description = "The bucket with the bundle, and with the tokens of machines that have yet to join."
  value       = aws_s3_bucket.this.id
}

output "image" {
  description = "The image that a machine made now would boot."
  value       = var.image_id == "" ? data.aws_ami.debian.id : var.image_id
}
