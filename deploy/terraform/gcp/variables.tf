variable "name" {
  description = "Name of the deployment; everything made here is named and labelled by it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "A small letter, then small letters, digits and hyphens; 31 characters at most."
  }
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region, such as europe-west3."
  type        = string
}

variable "zone" {
  description = "Zone for all machines; empty: zone b of the region."
  type        = string
  default     = ""
}

variable "machines" {
  description = "For each machine's id at the relay, the path of its cloud-init user data (which has no secret)."
  type        = map(string)

  validation {
    condition     = length(var.machines) > 0
    error_message = "At least one machine; to have none: terraform destroy."
  }
}

variable "join_token_files" {
  description = "For each machine that has yet to join, the path of its join token; tokens stay out of variables and state."
  type        = map(string)
  default     = {}
}

variable "bundle_file" {
  description = "Path of the bundle of Clove that the machines install."
  type        = string
}

variable "bundle_key" {
  description = "Name of the bundle in the bucket; it has the bundle's SHA-256, so that another bundle is another object."
  type        = string
}

variable "bucket" {
  description = "Name of the private bucket for bundle and join tokens; unique in all of Google Cloud."
  type        = string
}

variable "instance_type" {
  description = "Machine type, such as e2-medium."
  type        = string
}

variable "image" {
  description = "Image with systemd, cloud-init, systemd-resolved and Python 3.11 or newer."
  type        = string
  default     = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"
}

variable "disk_gib" {
  description = "Size of each machine's disk, in GiB."
  type        = number
  default     = 20
}

variable "disk_key" {
  description = "A Cloud KMS key that encrypts the disks; empty: a key of Google's (disks are always encrypted)."
  type        = string
  default     = ""
}

variable "spot" {
  description = "Whether machines are spot VMs: cheaper, and Google may stop them at any time."
  type        = bool
  default     = false
}

variable "egress_ports" {
  description = "TCP ports that machines may connect to: HTTPS, and the relay's."
  type        = set(number)
  default     = [443]
}

variable "cidr" {
  description = "Addresses of the machines' own network (IPv4, a private range)."
  type        = string
  default     = "10.84.0.0/24"
}
