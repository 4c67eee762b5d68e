variable "name" {
  description = "Name of the deployment; everything made here is tagged with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "A small letter, then small letters, digits and hyphens; 31 characters at most."
  }
}

variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
}

variable "zone" {
  description = "Availability zone for all machines; empty: AWS chooses one."
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
  description = "Name of the private bucket for bundle and join tokens; unique in all of AWS."
  type        = string
}

variable "instance_type" {
  description = "EC2 instance type, such as t3.medium."
  type        = string
}

variable "architecture" {
  description = "Processor of the instance type: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "x86_64 or arm64."
  }
}

variable "image_id" {
  description = "AMI with systemd, cloud-init and Python 3.11; empty: Debian's newest image of Debian 12."
  type        = string
  default     = ""
}

variable "disk_gib" {
  description = "Size of each machine's disk, in GiB."
  type        = number
  default     = 20
}

variable "spot" {
  description = "Whether machines are spot instances: cheaper, and AWS may end them at any time."
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
